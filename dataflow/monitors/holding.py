"""Failures that no job reported, while it is not decided whether their tick can be trusted.

A miss or a time-out at a pending tick is written down, and the next times are computed, as always. But it does not
count yet, nothing is sent, and the successes after it wait with it, so that all of them count in order. The decision
settles it: it counts, or its check-in becomes `unknown` and counts for nothing.

What a job reports as failed never waits: the successes before it count, then it does. Failures that are still held
count after it, if they come to count.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataflow.monitors.check_in import OK, UNKNOWN
from dataflow.monitors.counting import count_failure, count_success
from dataflow.monitors.decisions import Decision, TickEvent
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal, Verdict
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.run import Held, Run
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds, Minute


class Holders:
    """The environments of a key group that hold something."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str, str], tuple[Monitor, Environment]] = {}
        """By the names of monitor and environment."""

    def note(self, monitor: Monitor, environment: Environment) -> None:
        """It may hold something."""
        if environment.held is not None:
            self._entries[monitor.project_id, monitor.slug, environment.name] = (monitor, environment)

    def settling(self) -> Iterator[tuple[Monitor, Environment]]:
        """Each that is still there, in order of the names: to be settled before the next one is asked for. One that
        holds nothing then is forgotten."""
        for names, (monitor, environment) in sorted(self._entries.items()):
            if monitor.find(environment.name) is environment:
                yield monitor, environment
            if environment.held is None:
                del self._entries[names]


def hold(monitor: Monitor, environment: Environment, run: Run, tick: Minute, journal: Journal) -> None:
    """Hold a failure until its tick is decided."""
    at_us = tick * MINUTE_US
    if environment.held is None:
        environment.held = []
    environment.held.append(Held(run=run, at_us=at_us, tick=tick, last_ok_us=environment.last_ok_us))
    journal.decide(monitor, environment, run, Verdict.FAILURE, at_us, counted=None)


def note_success(
    monitor: Monitor, environment: Environment, run: Run, at_us: Microseconds, journal: Journal
) -> None:
    """Let a success count, after the failures that are held."""
    if environment.held is None:
        count_success(monitor, environment, run, at_us, journal)
    else:
        environment.held.append(Held(run, at_us))


def note_failure(
    monitor: Monitor, environment: Environment, run: Run, at_us: Microseconds, journal: Journal
) -> None:
    """Let a failure that the job reported count, at once."""
    if environment.held is not None:
        for success in [held for held in environment.held if held.tick == NO_MINUTE]:
            _remove(environment, success)
            count_success(monitor, environment, success.run, success.at_us, journal)
    count_failure(monitor, environment, run, at_us, journal)


def report_late(
    monitor: Monitor, environment: Environment, run: Run, status: int, at_us: Microseconds, journal: Journal
) -> None:
    """The job reports the end of a run that timed out.

    A success counts as this run's success, once. A failure is none that has not counted yet; but if the time-out is
    held, it confirms it.
    """
    if run.ended_well:
        return
    held = _held(environment, run)
    if status == OK:
        run.ended_well = True
        if held is not None:
            held.late_ok = True
        note_success(monitor, environment, run, at_us, journal)
    elif held is not None:
        _remove(environment, held)
        if held.counts:
            note_failure(monitor, environment, run, at_us, journal)


def _held(environment: Environment, run: Run, is_success: bool = False) -> Held | None:
    """What is held of a run: its failure, or its success."""
    for held in environment.held or ():
        if (held.tick == NO_MINUTE) == is_success and held.run.guid == run.guid:
            return held
    return None


def settle(monitor: Monitor, environment: Environment, event: TickEvent, journal: Journal) -> None:
    """Let what is held count, or not, as far as its ticks are decided now."""
    while environment.held and environment.held[0].tick <= event.settled_until:
        held = environment.held[0]
        _remove(environment, held)
        if held.tick == NO_MINUTE:
            count_success(monitor, environment, held.run, held.at_us, journal)
        elif event.verdict == Decision.INCIDENT:
            _lose(monitor, environment, held, event, journal)
        elif held.counts and not _has_succeeded(environment, held):
            _count(monitor, environment, held, journal)
        journal.touch(monitor, environment, event.tick * MINUTE_US)


def _has_succeeded(environment: Environment, held: Held) -> bool:
    """Whether a time-out ended well and that success has counted already: then it is too late to count the failure."""
    return (
        held.late_ok
        and _current(environment, held.run).ended_well  # earlier releases noted nothing, and let it count
        and _held(environment, held.run, is_success=True) is None
    )


def _current(environment: Environment, run: Run) -> Run:
    """A run as it is now: snapshots hold what is held apart from the time-outs that still take a result."""
    return environment.settled.get(run.guid, run) if environment.settled else run


def _remove(environment: Environment, held: Held) -> None:
    assert environment.held is not None
    environment.held.remove(held)
    if not environment.held:
        environment.held = None


def _count(monitor: Monitor, environment: Environment, held: Held, journal: Journal) -> None:
    """As if it had counted at once: what it says of the last success is as of then."""
    newest = environment.last_ok_us
    environment.last_ok_us = held.last_ok_us
    count_failure(monitor, environment, held.run, held.at_us, journal)
    environment.last_ok_us = newest


def _lose(monitor: Monitor, environment: Environment, held: Held, event: TickEvent, journal: Journal) -> None:
    """The failure was none: nobody knows how the run went, unless the job has said so since."""
    at_us = event.tick * MINUTE_US
    journal.loss(event.incident_start).held += 1
    journal.loss(event.incident_start).dropped += 1
    run = _current(environment, held.run)
    run.status = UNKNOWN
    lost_in = event.incident_start
    journal.decide(monitor, environment, run, Verdict.FAILURE, held.at_us, counted=False, lost_in=lost_in)
    if not held.late_ok:
        run.date_updated_us = at_us
        journal.run(monitor, environment, run)
        return
    run.status = OK
    if environment.settled and environment.settled.pop(run.guid, None):
        environment.remember(run.guid)
    environment.newest_result_us = max(environment.newest_result_us, run.date_added_us)
    environment.last_ok_us = max(environment.last_ok_us, run.date_added_us)
    journal.run(monitor, environment, run)
    if not run.ended_well:  # earlier releases let the success wait for this
        note_success(monitor, environment, run, at_us, journal)
