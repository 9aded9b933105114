"""Whether the flow is well, as far as its published snapshot says so: the flow need not answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import duckdb

from state.ask.age import roughly


class Limits(NamedTuple):
    """What is still well; 0: whatever it is."""

    snapshot_age_s: int
    clock_age_s: int
    partition_age_s: int
    held: int
    dead_letters: int
    disk_free_mb: int


class Health(NamedTuple):
    """What was found."""

    problems: list[str]
    figures: dict[str, Any]
    words: str
    """All figures in one line."""


_FACTS = """
    SELECT epoch(published_at), epoch(event_clock),
        (SELECT min(epoch(p.clock)) FROM (SELECT unnest(positions, recursive := true)) AS p),
        (SELECT count(*) FROM processing_errors
            WHERE list_contains(error_types, 'MALFORMED_MESSAGE')
                AND received_at > event_clock() - INTERVAL 1 HOUR),
        (SELECT count(*) FROM clock_ticks WHERE decision IS NULL)
    FROM snapshot_info"""


def look(connection: duckdb.DuckDBPyConnection, limits: Limits, now_s: float, free_mb: int) -> Health:
    """Compare a snapshot with the limits; `now_s` is the wall clock's time since the epoch, in seconds."""
    row = connection.execute(_FACTS).fetchone()
    published, clock, slowest, dead_letters, held = row if row is not None else (None, None, None, 0, 0)
    figures: dict[str, Any] = {
        "snapshot_age_s": _age(published, now_s),
        "clock_age_s": _age(clock, now_s),
        "partition_age_s": _age(slowest, now_s),
        "held": held,
        "dead_letters": dead_letters,
        "disk_free_mb": free_mb,
    }
    ages = {
        "the snapshot": ("snapshot_age_s", limits.snapshot_age_s),
        "the event clock": ("clock_age_s", limits.clock_age_s),
        "the slowest partition": ("partition_age_s", limits.partition_age_s),
    }
    problems = []
    for name, (figure, limit) in ages.items():
        age = figures[figure]
        if limit and age is None:
            problems.append(f"{name} has no time yet")
        elif limit and age > limit:
            problems.append(f"{name} is {_span(age)} old, more than {_span(limit)}")
    if limits.held and held > limits.held:
        problems.append(f"{held} minutes wait for a decision, more than {limits.held}")
    if limits.dead_letters and dead_letters > limits.dead_letters:
        problems.append(
            f"{dead_letters} messages could not be read in the last hour, more than {limits.dead_letters}"
        )
    if limits.disk_free_mb and free_mb < limits.disk_free_mb:
        problems.append(f"{free_mb:,} MB of disk are left, less than {limits.disk_free_mb:,}")
    return Health(problems, figures, _words(figures))


def _age(seconds: float | None, now_s: float) -> int | None:
    return None if seconds is None else max(0, round(now_s - seconds))


def _span(seconds: int) -> str:
    return roughly(timedelta(seconds=seconds))


def _words(figures: dict[str, Any]) -> str:
    def age(name: str) -> str:
        return "none yet" if figures[name] is None else _span(figures[name])

    return (
        f"From the snapshot: published {age('snapshot_age_s')} ago, event clock {age('clock_age_s')} old, slowest "
        f"partition {age('partition_age_s')}, {figures['held']} minutes undecided, {figures['dead_letters']} dead "
        f"letters in the last hour, {figures['disk_free_mb']:,} MB of disk left"
    )
