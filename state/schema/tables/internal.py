"""How far inputs were read and written, what a file holds and covers, and which history files count."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import Positions, Row, Since, SmallInt, Spec, TimeUs, Uuid


class PartitionRow(Row, frozen=True, kw_only=True):
    """Internal: how far each input partition has been written to this file."""

    TABLE: ClassVar = Spec("partitions", identity=("topic", "partition"))

    topic: Annotated[str, "Topic, or file."]
    partition: Annotated[int, "Number of the partition."]
    position: Annotated[
        int,
        "The offset or line that is read next; never goes back while an input is read again.",
    ]
    clock: Annotated[
        TimeUs | None,
        "The partition's clock: its newest broker timestamp (less CRONWAX_CLOCK_DELAY_SECONDS), cut to "
        "the minute.",
    ]


class SchemaInfoRow(Row, frozen=True, kw_only=True):
    """Which layout this file has. One row."""

    TABLE: ClassVar = Spec("schema_info")

    version: Annotated[
        SmallInt,
        "Number of the layout; a newer number means that a newer Cronwax wrote the file.",
    ]
    shard: Annotated[SmallInt, "Which shard of the state this file holds, from 0."]
    shards: Annotated[SmallInt, "Into how many shards the state of this data folder is split."]


class SnapshotInfoRow(Row, frozen=True, kw_only=True):
    """What this snapshot covers. One row, rewritten whenever a snapshot is published."""

    TABLE: ClassVar = Spec("snapshot_info")

    published_at: Annotated[TimeUs, "When the snapshot was published, by the publishing machine's clock."]
    event_clock: Annotated[
        TimeUs | None,
        "The event clock: every check-in that was received before this minute is in here, and every "
        "deadline up to it has fired. The slowest input partition's clock, or an earlier time while misses "
        "and time-outs that came due at once are still being worked off; NULL as long as no partition has "
        "a clock, or nothing has been worked off.",
    ]
    positions: Annotated[
        Positions,
        "Input partitions by topic and number: the offset (Kafka) or line (file) read next, and the "
        "partition's own clock.",
    ]
    publish_seconds: Annotated[
        float,
        "How long it took to write this snapshot, up to putting it in its place, in seconds.",
        Since(2),
    ]
    size_bytes: Annotated[
        int,
        "The size of this file in bytes; the Parquet files of the history are not in it.",
        Since(2),
    ]


class DataInfoRow(Row, frozen=True, kw_only=True):
    """Internal: which files of which age this is made of, one row a shard. Recovery store and published snapshot
    know it too, so that it is noticed if they do not belong together."""

    TABLE: ClassVar = Spec("data_info", since=5)

    shard: Annotated[SmallInt, "The shard of the state."]
    data_id: Annotated[Uuid, "Made with the shard's file; no other has it."]
    commits: Annotated[int, "How often records were committed to it."]


class HistoryFileRow(Row, frozen=True, kw_only=True):
    """Internal: the Parquet files of the history. Files not listed here do not count."""

    TABLE: ClassVar = Spec("history_files")

    table_name: Annotated[str, "The table whose rows it holds."]
    shard: Annotated[SmallInt, "The shard of the state that wrote it."]
    file_id: Annotated[int, "Number of the file, growing within table and shard."]
    path: Annotated[str, "Where it is below the data folder."]
    day: Annotated[TimeUs, "The day, in UTC, that all of its rows belong to."]
    is_whole_day: Annotated[bool, "True: made by compacting the day."]
    rows: Annotated[int, "How many rows it holds."]
    size_bytes: Annotated[int, "Its size in bytes."]
    superseded_at: Annotated[
        TimeUs | None,
        "When it ceased to be part of the history, by the machine's clock; it stays for a while for "
        "readers of older snapshots. NULL: it is live.",
    ]


class HistoryProgressRow(Row, frozen=True, kw_only=True):
    """Internal: how far each table has been moved to Parquet files."""

    TABLE: ClassVar = Spec("history_progress")

    table_name: Annotated[str, "The table."]
    shard: Annotated[SmallInt, "The shard of the state."]
    moved_until: Annotated[TimeUs | None, "Rows from before may be in files."]
    next_file_id: Annotated[int, "The number of the next file."]
