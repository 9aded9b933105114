"""When the next run was due at a time: from what the flow recorded then, else computed by the rules. Pure functions.

`check_ins.expected_time` is what the schedule expected next when a run began. So the first run after a time says what
was expected at that time, unless something else has moved it in between: a change of the schedule, a control, and of
an interval also the end of a run. Then it is computed from the last thing before that time that moved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from state.ask.why.facts import ERROR, IN_PROGRESS, MISSED, OK, TIMEOUT, Config


class Schedules(Protocol):
    """Computes scheduled times, as the flow does. Given by who asks: the rules are not part of these questions."""

    def after(self, config: Config, moment: datetime) -> datetime | None:
        """The first scheduled time after a moment; None: there is none, or the config cannot be used."""

    def resume(self, config: Config, expected: datetime, tick: datetime) -> datetime | None:
        """The first scheduled time that is not before a tick at which a run had failed that was expected then."""


@dataclass(frozen=True)
class Came:
    """A run, as its row says today."""

    status: str
    began: datetime
    ended: datetime
    """`date_updated`: when it changed last."""
    expected: datetime | None
    tick: datetime | None
    """Of a miss or a time-out: the tick that found it."""

    @property
    def seen(self) -> datetime:
        """When it was known: of a miss its tick."""
        return self.tick if self.status == MISSED and self.tick is not None else self.began


@dataclass(frozen=True)
class Moves:
    """What moves next times beside runs."""

    configs: Sequence[datetime]
    """When schedule, zone or margin were changed."""
    restarts: Sequence[datetime]
    """When a control reset the environment, changed its schedule, or enabled the monitor: next times count from
    then."""


def due_at(
    at: datetime,
    config: Config,
    runs: Sequence[Came],
    moves: Moves,
    now: datetime | None,
    schedules: Schedules | None,
) -> datetime | None:
    """What was due next at a time; None: nothing, or it is not known. `now` is what is due next now."""
    # Of two at one time the one that came first: each moves what is expected next on, or leaves it.
    later = min((run for run in runs if run.seen > at), key=_first_seen, default=None)
    if not _moved_between(at, later, config, runs, moves):
        if later is None:
            return now
        if later.expected is not None:
            return later.expected
    if schedules is None:
        return None
    found = _computed(at, config, runs, moves, schedules)
    if found is not None and found + timedelta(minutes=config.checkin_margin) <= at:
        return None  # it would have been missed by then: something has moved it that left no trace
    return found


def _first_seen(run: Came) -> tuple[datetime, bool, datetime]:
    return run.seen, run.expected is None, run.expected or run.seen


def _moved_between(
    at: datetime, later: Came | None, config: Config, runs: Sequence[Came], moves: Moves
) -> bool:
    moments: list[tuple[datetime, Came | None]] = [(each, None) for each in (*moves.configs, *moves.restarts)]
    for run in runs:
        if run.status == TIMEOUT and run.tick is not None:
            moments.append((run.tick, None))
        if run.status == IN_PROGRESS and run.ended > run.began:
            moments.append((run.ended, run))  # a heartbeat
        if config.schedule_type == "interval" and run.status in (OK, ERROR, TIMEOUT):
            moments.append((run.ended, run))
    # What came with the very message that moved it was expected before it. Of another run's message at the same time
    # nobody knows which came first.
    return any(
        at < moment
        and (later is None or moment < later.seen or (moment == later.seen and run not in (None, later)))
        for moment, run in moments
    )


def _computed(
    at: datetime, config: Config, runs: Sequence[Came], moves: Moves, schedules: Schedules
) -> datetime | None:
    """From the last thing by then that moved it."""
    moved: list[tuple[datetime, int, Came | None]] = [
        (moment, 2, None) for moment in moves.restarts if moment <= at
    ]
    newest: datetime | None = None
    for run in sorted(runs, key=lambda each: each.seen):
        if run.seen > at:
            break
        if run.status == MISSED:
            moved.append((run.seen, 1, run))
            continue
        moved.append((run.began, 0, None))
        is_newest = newest is None or run.began >= newest
        newest = run.began if newest is None else max(newest, run.began)
        if run.status == IN_PROGRESS and run.began < run.ended <= at:
            moved.append((run.ended, 0, None))
        is_end = run.status in (OK, ERROR) and run.ended <= at
        if config.schedule_type == "interval" and is_end and is_newest:
            moved.append((run.ended, 0, None))
    if not moved:
        return None
    moment, _, miss = max(moved, key=lambda each: each[:2])
    if miss is not None and miss.expected is not None:
        return schedules.resume(config, miss.expected, moment)
    return schedules.after(config, moment)
