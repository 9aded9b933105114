"""Tables that were made again beside a data folder: their marks, and the snapshot of them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import duckdb

from state.errors import StateError, reason
from state.publish.publish import Publisher
from state.publish.shared_publish import SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.database import shard_path
from state.schema.layout import find_both
from state.write.data_mark import DataMark
from state.write.writer import StateWriter

Positions = dict[tuple[str, int], int]
"""By topic and partition, what is read next."""


def mark_of(file: Path, shard: int) -> DataMark | None:
    """The mark of a shard in a DuckDB file, which is only read; None if there is none that can be read."""
    if not file.exists():
        return None
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            find_both(connection)
            row = connection.execute(
                "SELECT data_id, commits FROM data_info WHERE shard = ?", [shard]
            ).fetchone()
    except duckdb.Error:
        return None
    return DataMark(row[0].bytes, row[1]) if row is not None else None


def published_mark_of(data_dir: Path, shard: int) -> DataMark | None:
    """The same of the published snapshot."""
    return mark_of(data_dir / SNAPSHOT, shard)


def set_mark(data_dir: Path, shard: int, mark: DataMark) -> None:
    """Let a shard's file be the one that others know by this mark. Raises StateError."""
    path = shard_path(data_dir, shard)
    try:
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                "UPDATE data_info SET data_id = ?, commits = greatest(commits, ?) WHERE shard = ?",
                [uuid.UUID(bytes=mark.data_id), mark.commits, shard],
            )
    except duckdb.Error as error:
        raise StateError(f"{path}: cannot write: {reason(error)}") from None


def positions_of(data_dir: Path, shard: int) -> Positions:
    """How far the inputs are in a shard's tables. Raises StateError."""
    path = shard_path(data_dir, shard)
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute('SELECT topic, "partition", "position" FROM partitions').fetchall()
    except duckdb.Error as error:
        raise StateError(f"{path}: cannot be read: {reason(error)}") from None
    return {(topic, partition): position for topic, partition, position in rows}


def publish_all(data_dir: Path, shards: int) -> None:
    """Publish what all shards hold, in the place of whatever is published. Raises StateError."""
    now = time.time()
    for shard in range(shards):
        writer = StateWriter.open(data_dir, shard, shards)
        try:
            if shards == 1:
                Publisher(writer, data_dir, 0, time.time).publish(force=True, input_ended=False)
            else:
                SharedPublisher(writer, data_dir, 0, lambda: now).publish(force=True, input_ended=False)
        finally:
            writer.close()
