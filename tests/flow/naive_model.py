"""A naive model of one environment: it keeps every run and every event in lists and recomputes everything from them.

It shares no code with the flow, and knows only what its streams need: one partition, no controls but the clock,
schedules of every so many minutes in UTC, start times that are never in the future. Times are whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FAILING = ("error", "missed", "timeout")


@dataclass
class ModelRun:
    """A check-in."""

    guid: str
    status: str
    added: int
    updated: int
    expected: int | None
    timeout_at: int | None = None
    fires_at: int | None = None
    duration_ms: int | None = None
    ended_well: bool = False


@dataclass
class Event:
    """A result that was judged, in the order in which that happened."""

    run: ModelRun
    is_failure: bool
    status: str
    at: int


@dataclass
class Outcome:
    """What the events come to."""

    status: str = "active"
    incidents: list[dict[str, Any]] = field(default_factory=list)
    occurrences: list[str] = field(default_factory=list)
    """The guids that they are about."""
    resolves: list[str] = field(default_factory=list)


@dataclass
class Naive:
    """One environment. `crontab`: every so many minutes of the hour; else an interval."""

    every: int
    crontab: bool
    margin: int = 1
    max_runtime: int = 30
    threshold: int = 1
    recovery: int = 1
    runs: list[ModelRun] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    last_checkin: int | None = None
    next: int | None = None
    miss_fires_at: int | None = None
    clock: int | None = None
    rejected: int = 0

    def pulse(self, at: int) -> None:
        """The broker's time reaches `at`."""
        minute = at // 60 * 60
        first = minute if self.clock is None else self.clock + 60
        for tick in range(first, minute + 60, 60):
            self._fire(tick, tick)
        self.clock = max(minute, self.clock or 0)

    def check_in(self, at: int, guid: str, status: str, start: int, duration: int | None) -> None:
        """One check-in: what was due first, then itself, then the clock."""
        if self.clock is not None:
            self._fire(self.clock, self.clock)
        start_minute = start // 60 * 60
        if self.next is not None and self.next + self.margin * 60 <= start_minute:
            self._fire_late(start_minute)
        self._apply(at, guid, status, start, duration)
        self.pulse(at)

    def _apply(self, at: int, guid: str, status: str, start: int, duration: int | None) -> None:
        first_tick = max(at // 60 * 60, (self.clock if self.clock is not None else -120) + 60)
        run = next((run for run in self.runs if run.guid == guid), None)
        if run is None:
            run = ModelRun(guid, status, start - (duration or 0), start, self.next)
            run.duration_ms = duration * 1000 if duration is not None else None
            if status == "in_progress":
                self._limit(run, run.added, first_tick)
            self.runs.append(run)
            self._move(run, run.added if status == "error" else start, start, first_tick)
            self._judge(run, status, at)
            return
        if run.status in ("ok", "error", "missed"):
            self.rejected += status != "in_progress"
            return
        if run.status == "timeout" and status == "in_progress":
            return
        run.duration_ms = (duration if duration is not None else abs(start - run.added)) * 1000
        run.updated = start
        if status == "in_progress":
            self._limit(run, start, first_tick)
            self._move(run, start, start, first_tick)
            return
        if not self.crontab:
            self._move(run, start, start, first_tick)
        if run.status == "in_progress":
            run.status, run.timeout_at, run.fires_at = status, None, None
            self._judge(run, status, at)
        elif status == "ok" and not run.ended_well:
            run.ended_well = True
            self._judge(run, "ok", at)

    def _limit(self, run: ModelRun, start: int, first_tick: int) -> None:
        run.timeout_at = start // 60 * 60 + self.max_runtime * 60
        run.fires_at = max(run.timeout_at, first_tick)

    def _move(self, run: ModelRun, seen: int, start: int, first_tick: int) -> None:
        if self.last_checkin is not None and self.last_checkin > seen:
            return
        self.last_checkin = max(self.last_checkin if self.last_checkin is not None else run.added, run.added)
        self._plan(self._after(start // 60 * 60), first_tick)

    def _plan(self, following: int, first_tick: int) -> None:
        self.next = following
        self.miss_fires_at = max(following + self.margin * 60, first_tick)

    def _after(self, minute: int) -> int:
        step = self.every * 60
        return (minute // step + 1) * step if self.crontab else minute + step

    def _resume(self, tick: int) -> int:
        if self.crontab:
            return self._after(tick - 60)
        following = self.next
        assert following is not None
        while following < tick:
            following += self.every * 60
        return following

    def _judge(self, run: ModelRun, status: str, at: int) -> None:
        if status != "in_progress":
            self.events.append(Event(run, status in FAILING, status, at))

    def _fire(self, until: int, tick: int) -> None:
        """What ticks up to this one fire."""
        while True:
            due = [
                (run.fires_at, 1, run.added, run.guid, run) for run in self.runs if run.fires_at is not None
            ]
            best = min(due, key=lambda each: each[:4], default=None)
            miss = self.miss_fires_at
            if miss is not None and (best is None or miss <= best[0]):
                if miss > until:
                    return
                self._miss(miss)
            elif best is not None and best[0] <= until:
                self._time_out(best[4], best[0])
            else:
                return

    def _fire_late(self, until: int) -> None:
        """By the deadlines themselves, up to the minute of a check-in that is later than the latest time."""
        while True:
            assert self.next is not None
            latest = self.next + self.margin * 60
            due = [
                (run.timeout_at, run.added, run.guid, run) for run in self.runs if run.timeout_at is not None
            ]
            best = min(due, key=lambda each: each[:3], default=None)
            if best is not None and best[0] < latest:
                if best[0] > until:
                    return
                self._time_out(best[3], best[0])
            elif latest <= until:
                self._miss(latest)
            else:
                return

    def _miss(self, tick: int) -> None:
        expected = self.next
        assert expected is not None
        if any(run.status == "missed" and run.added == expected for run in self.runs):
            self._plan(self._after(expected), tick)
            return
        run = ModelRun(f"missed {expected}", "missed", expected, tick, expected)
        self.runs.append(run)
        self._plan(self._resume(tick), tick)
        self._judge(run, "missed", tick)

    def _time_out(self, run: ModelRun, tick: int) -> None:
        later = any(each.status in ("ok", "error") and each.added > run.added for each in self.runs)
        run.status, run.updated, run.timeout_at, run.fires_at = "timeout", tick, None, None
        if not later and (self.last_checkin is None or self.last_checkin <= run.added):
            self._plan(self._resume(tick), tick)
        self._judge(run, "timeout", tick)

    def overruled(self, at: int) -> bool:
        """Whether an event does not count: before it, a run that began later had the opposite result."""
        event = self.events[at]
        return any(
            each.is_failure != event.is_failure and each.run.added > event.run.added
            for each in self.events[:at]
        )

    def outcome(self) -> Outcome:
        """All events again, from the first."""
        out = Outcome()
        row: list[Event] = []
        oks = 0
        incident: dict[str, Any] | None = None
        for at, event in enumerate(self.events):
            if self.overruled(at):
                continue
            if event.is_failure:
                oks = 0
                if incident is None:
                    row.append(event)
                    if len(row) < self.threshold:
                        continue
                    first = row[-self.threshold].run
                    incident = {"start": first.added, "starting": first.guid, "end": None, "resolving": None}
                    out.incidents.append(incident)
                    out.status, row = "error", []
                out.occurrences.append(event.run.guid)
                continue
            row = []
            if incident is None:
                out.status = "ok"
                continue
            oks += 1
            if oks >= self.recovery:
                incident["end"], incident["resolving"] = event.run.added, event.run.guid
                out.resolves.append(event.run.guid)
                incident, oks, out.status = None, 0, "ok"
        return out
