"""Metrics in Prometheus' default registry, which the engine's own endpoint carries. Counted by batch."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
from prometheus_client import Counter, Gauge, Histogram

from dataflow.stream.items import DeadLetter, Records
from state.publish.publish import Published
from state.schema.catalogue import rows_of
from state.schema.tables.runs import CheckInRow, IncidentRow, ProcessingErrorRow, StatusChangeRow
from state.schema.tables.volume import SystemIncidentRow

CHECK_INS = Counter("cronwax_check_ins", "Check-ins written, by the status that they came to.", ["status"])
ERRORS = Counter("cronwax_processing_errors", "Reasons for which messages were rejected.", ["type"])
INCIDENTS_OPENED = Counter("cronwax_incidents_opened", "Incidents opened.")
INCIDENTS_RESOLVED = Counter("cronwax_incidents_resolved", "Incidents resolved.")
INCIDENTS_OPEN = Gauge("cronwax_incidents_open", "Incidents open, as of the last published snapshot.")
MESSAGES = Counter("cronwax_messages", "Messages made for the occurrences topic.", ["payload_type"])
DEAD_LETTERS = Counter("cronwax_dead_letters", "Messages that could not be read.")
SNAPSHOT_SECONDS = Histogram(
    "cronwax_sink_snapshot_seconds",
    "How long the flow waited for a sink at the end of an epoch.",
    ["sink"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120),
)
PAUSE_SECONDS = Histogram(
    "cronwax_pause_seconds",
    "Pieces of work on a worker's thread of 10 ms or longer, during which no message passes there, by cause: a step, "
    "`epoch end` (all its snapshots), `garbage collector`.",
    ["cause"],
    buckets=(0.03, 0.1, 0.3, 1, 3, 10),
)
KEY_GROUPS_BEHIND = Gauge(
    "cronwax_key_groups_behind",
    "Key groups in which misses and time-outs are due that are not worked off yet, as after a long silence.",
)
COMMIT_SECONDS = Histogram(
    "cronwax_commit_seconds",
    "How long it took, beside the flow, to write an epoch's records, move history and publish.",
    buckets=(0.03, 0.1, 0.3, 1, 3, 10, 30, 120),
)
PUBLISH_SECONDS = Histogram(
    "cronwax_publish_seconds",
    "How long it took to publish a snapshot.",
    buckets=(0.03, 0.1, 0.3, 1, 3, 10, 30, 120),
)
PUBLISHED_BYTES = Gauge("cronwax_published_bytes", "Size of the last published snapshot.")
PUBLISHED_TIME = Gauge("cronwax_published_timestamp_seconds", "When the last snapshot was published.")
SYSTEM_INCIDENT = Gauge("cronwax_system_incident", "1 while check-ins are being lost on their way here.")
STALLED = Gauge(
    "cronwax_stalled", "1 while the watchdog says that this is stalled or too far behind.", ["subject"]
)
UNTRUE_TIMES = Counter(
    "cronwax_untrue_timestamps",
    "Messages whose broker timestamp cannot be true, and that count as of the clock.",
)
HOST_CLOCK_AHEAD = Gauge(
    "cronwax_host_clock_ahead_seconds",
    "How far this host's clock is ahead of the broker's (negative: late), as fresh messages show; 0 if they agree.",
)
DISK_FREE = Gauge("cronwax_disk_free_bytes", "What is left of the disk that holds the data folder.")

_open_incidents: dict[int, int] = {}
"""By shard."""


def count_records(items: Sequence[Records]) -> None:
    """Count what comes to the tables."""
    statuses: dict[str, int] = {}
    kinds: dict[str, int] = {}
    errors: dict[str, int] = {}
    for records in items:
        rows = records.rows
        _tally(statuses, (row.status for row in rows_of(rows, CheckInRow)))
        _tally(kinds, (row.payload_type for row in rows_of(rows, StatusChangeRow)))
        _tally(errors, (kind for row in rows_of(rows, ProcessingErrorRow) for kind in row.error_types))
        resolved = [row.resolving_check_in_id is not None for row in rows_of(rows, IncidentRow)]
        INCIDENTS_OPENED.inc(resolved.count(False))
        INCIDENTS_RESOLVED.inc(resolved.count(True))
        for row in rows_of(rows, SystemIncidentRow):
            SYSTEM_INCIDENT.set(row.ended_at is None)
    _add(CHECK_INS, statuses)
    _add(MESSAGES, kinds)
    _add(ERRORS, errors)


def count_dead_letters(items: Sequence[DeadLetter]) -> None:
    """Count what could not be read."""
    DEAD_LETTERS.inc(len(items))


def count_published(published: Published) -> None:
    """Note a snapshot that was published just now."""
    PUBLISH_SECONDS.observe(published.seconds)
    PUBLISHED_BYTES.set(published.size_bytes)
    PUBLISHED_TIME.set_to_current_time()


def show_what_was_left(connection: duckdb.DuckDBPyConnection, shard: int, snapshot: Path) -> None:
    """Show from the start what earlier processes left: open incidents of a shard, a system incident that goes on in
    it, size and time of the published snapshot. Else an alert about these would fire, or end, with a restart."""
    count_open_incidents(connection, shard)
    if connection.execute("FROM system_incident_spans WHERE ended_at IS NULL LIMIT 1").fetchone():
        SYSTEM_INCIDENT.set(1)
    with suppress(FileNotFoundError):  # nothing was published yet
        file = snapshot.stat()
        PUBLISHED_BYTES.set(file.st_size)
        PUBLISHED_TIME.set(file.st_mtime)


def show_disk_left(data_dir: Path) -> None:
    """From now on, each look at the metrics shows what is left of the data folder's disk; NaN if it cannot be seen."""

    def free_bytes() -> float:
        try:
            return shutil.disk_usage(data_dir).free
        except OSError:
            return math.nan

    DISK_FREE.set_function(free_bytes)


def count_open_incidents(connection: duckdb.DuckDBPyConnection, shard: int) -> None:
    """Take the number of open incidents from the tables of a shard; the metric sums up those of this process."""
    row = connection.execute("SELECT count(*) FROM incidents WHERE resolving_timestamp IS NULL").fetchone()
    _open_incidents[shard] = row[0] if row is not None else 0
    INCIDENTS_OPEN.set(sum(_open_incidents.values()))


def _tally(counts: dict[str, int], labels: Iterable[str]) -> None:
    # A dictionary, as most batches are small: a collections.Counter takes several times as long to make.
    for label in labels:
        counts[label] = counts.get(label, 0) + 1


def _add(counter: Counter, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        counter.labels(label).inc(count)
