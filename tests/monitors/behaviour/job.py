"""A job that is watched, without the engine: what it reports, what the clock shows, and what the rules make of it.

Times are minutes after START (a Monday, 00:00 UTC); fractions are allowed where a message has a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from dataflow.monitors.changes import (
    EnvironmentMuted,
    EnvironmentReset,
    MonitorChanged,
    MonitorDeleted,
    MonitorItem,
)
from dataflow.monitors.check_in import REPORTED, STATUS_NAMES, CheckIn
from dataflow.monitors.config import ConfigUpdate, MonitorConfig, parse_config
from dataflow.monitors.decisions import Decision, TickEvent
from dataflow.monitors.environment import ENVIRONMENT_STATUS_NAMES, Environment
from dataflow.monitors.group import MonitorGroup
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.journal import (
    BrokenNotice,
    FailureNotice,
    Journal,
    Notice,
    RecoveryNotice,
)
from dataflow.monitors.monitor import MonitorState
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, NO_TIME, Microseconds, Minute
from dataflow.monitors.tuning import DEFAULT_TUNING, Tuning
from state.schema.tables.runs import RunDecisionRow

START = Minute(29_016_000)
"""2025-03-03T00:00:00Z"""
PROJECT, SLUG, PRODUCTION = 1, "m", "production"


def at(minute: float) -> Microseconds:
    return Microseconds(START * MINUTE_US + round(minute * MINUTE_US))


def guid(name: str) -> bytes:
    """The guid of a run that tests call by a short name."""
    return name.encode().rjust(16, b"-")


def config(schedule: str = "*/10 * * * *", **more: Any) -> MonitorConfig:
    """A config; the schedule is a crontab or, as "10 minute", an interval."""
    number, unit, *rest = [*schedule.split(), ""]
    value: dict[str, Any] = {"type": "crontab", "value": schedule}
    if not any(rest):
        value = {"type": "interval", "value": int(number), "unit": unit}
    parsed = parse_config(json.dumps({"schedule": value, **more}).encode())
    assert isinstance(parsed, ConfigUpdate)
    return parsed.merged_into(None)


@dataclass
class Seen:
    """A check-in as the tables show it; times in minutes, NaN-free."""

    status: str
    began: float
    updated: float
    expected: int | None
    timeout: int | None
    duration_s: float | None


class Job:
    """A monitor, its environments, and all that has come of them so far."""

    def __init__(
        self,
        schedule: str = "*/10 * * * *",
        *,
        tuning: Tuning = DEFAULT_TUNING,
        judged: bool = False,
        **more: Any,
    ) -> None:
        self.group = MonitorGroup(judged, tuning)
        self.journal = Journal()
        self.tuning, self.judged = tuning, judged
        self._config = config(schedule, **more)
        self._clock = NO_MINUTE
        self._offset = 0
        self.change(0)

    # What comes.

    def report(
        self,
        minute: float,
        status: str,
        run: str = "a",
        *,
        environment: str = PRODUCTION,
        stamped: float | None = None,
        duration_s: float | None = None,
        source: int = 5,
        trace: bytes | None = None,
        clock: float | None = None,
    ) -> Job:
        """A check-in comes at a minute (`stamped`: its start_time is earlier)."""
        self._offset += 1
        item = CheckIn(
            organization_id=1,
            project_id=PROJECT,
            slug=SLUG,
            environment=environment,
            guid=guid(run) if run else bytes(16),
            status=REPORTED[status],
            duration_ms=round(duration_s * 1000) if duration_s is not None else None,
            trace_id=trace,
            config=None,
            sdk=None,
            start_us=at(minute if stamped is None else stamped),
            received_us=at(minute),
            clock_minute=self._clock if clock is None else Minute(START + int(clock)),
            topic="t",
            partition=source,
            offset=self._offset,
            source=source,
            payload=b"{}",
        )
        self._take(item)
        if clock is None:
            self._clock = max(self._clock, at(minute) // MINUTE_US)
            self._work_off()
        return self

    def begins(self, minute: float, run: str = "a", **more: Any) -> Job:
        return self.report(minute, "in_progress", run, **more)

    def ok(self, minute: float, run: str = "a", **more: Any) -> Job:
        return self.report(minute, "ok", run, **more)

    def error(self, minute: float, run: str = "a", **more: Any) -> Job:
        return self.report(minute, "error", run, **more)

    def clock(self, minute: int) -> Job:
        """The event clock reaches a minute; if ticks are judged, all up to it are known to be normal."""
        self._clock = max(self._clock, Minute(START + minute))
        self._work_off()
        return self

    def decide(
        self,
        minute: int,
        decision: Decision,
        settled: int,
        verdict: Decision = Decision.NORMAL,
        begin: int = 0,
    ) -> Job:
        """A tick is decided (see TickEvent), and the clock reaches it."""
        self._clock = max(self._clock, Minute(START + minute))
        event = TickEvent(
            Minute(START + minute), decision, Minute(START + settled), verdict, Minute(START + begin)
        )
        self._work_off([event])
        return self

    def change(
        self,
        minute: float,
        *,
        by: str | None = None,
        disabled: bool = False,
        muted: bool = False,
        reschedule: bool = False,
        **new: Any,
    ) -> Job:
        """The monitor is made or changed; `by`: by a check-in of this environment that follows."""
        if new:
            self._config = config(**new)
        self._take(
            MonitorChanged(
                project_id=PROJECT,
                slug=SLUG,
                name="M",
                is_disabled=disabled,
                is_muted=muted,
                config=self._config,
                at_us=at(minute),
                clock_minute=self._clock,
                reschedule=reschedule,
                source=5,
                reached_minute=self._clock,
                environment=by,
                start_us=at(minute) if by is not None else NO_TIME,
            )
        )
        return self

    def mute(self, minute: float, muted: bool = True) -> Job:
        item = EnvironmentMuted(PROJECT, SLUG, PRODUCTION, muted, at(minute), self._clock, 5, self._clock)
        self._take(item)
        return self

    def reset(self, minute: float, environment: str | None = PRODUCTION) -> Job:
        self._take(EnvironmentReset(PROJECT, SLUG, environment, at(minute), self._clock, 5, self._clock))
        return self

    def delete(self, minute: float, environment: str | None = None) -> Job:
        self._take(MonitorDeleted(PROJECT, SLUG, environment, at(minute), self._clock, 5, self._clock))
        return self

    def restart(self) -> Job:
        """A snapshot is taken and read again."""
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.group.state()), type=GroupState)
        monitors = [monitor.state() for monitor in self.group.monitors.values()]
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(monitors), type=list[MonitorState])
        self.group = MonitorGroup(self.judged, self.tuning, state, saved)
        return self

    def _take(self, item: MonitorItem) -> None:
        self.group.take_all([item], NO_MINUTE, self.journal)

    def _work_off(self, events: list[TickEvent] | None = None) -> None:
        if self.judged:
            self.group.take_ticks(events or [], self._clock, NO_MINUTE)
        self.group.take_all([], self._clock, self.journal)
        self.group.work_off(self.journal)
        self.group.look_for_held(self.journal)

    # What has come of it.

    def environment(self, name: str = PRODUCTION) -> Environment:
        environment = self.group.monitors[PROJECT, SLUG].find(name)
        assert environment is not None
        return environment

    @property
    def status(self) -> str:
        return ENVIRONMENT_STATUS_NAMES[self.environment().status]

    @property
    def next(self) -> int:
        """When the next check-in is expected."""
        return self.environment().next_minute - START

    @property
    def latest(self) -> int:
        return self.environment().latest_minute - START

    def seen(self, run: str) -> Seen:
        """A run as it was written down last."""
        return {each.check_in_id: _seen(each) for each in self.journal.check_in_rows()}[guid(run)]

    def all_seen(self, status: str, environment: str = PRODUCTION) -> list[Seen]:
        """The runs of a status, by when they began."""
        rows = [each for each in self.journal.check_in_rows() if each.environment == environment]
        return sorted(
            (seen for each in rows if (seen := _seen(each)).status == status), key=lambda each: each.began
        )

    @property
    def missed(self) -> list[float]:
        """When those that were missed were expected."""
        return [each.began for each in self.all_seen("missed")]

    @property
    def incidents(self) -> list[tuple[float, float | None]]:
        """Incidents, from when to when."""
        found: dict[str, tuple[float, float | None]] = {}
        for row in self.journal.incidents:
            end = row.resolving_timestamp
            found[row.incident_id] = (_minute(row.starting_timestamp), None if end is None else _minute(end))
        return list(found.values())

    @property
    def messages(self) -> list[str]:
        """What was sent, in short, in order: "failed error", "flapping", "resolved", "monitor_broken"."""
        return [_in_short(notice) for notice in self.journal.notices]

    @property
    def failures(self) -> list[FailureNotice]:
        """The occurrences that were sent."""
        return [notice for notice in self.journal.notices if isinstance(notice, FailureNotice)]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """The errors of messages that were refused."""
        return [error for _, errors in self.journal.rejected for error in errors]

    def decided(self, run: str) -> list[RunDecisionRow]:
        """What was decided about a run."""
        return [each for each in self.journal.decisions if each.check_in_id == guid(run)]


def _in_short(notice: Notice) -> str:
    if isinstance(notice, AcknowledgedNotice):
        return "acknowledged" if notice.is_acknowledged else "taken back"
    if isinstance(notice, BrokenNotice):
        return notice.kind
    if isinstance(notice, RecoveryNotice):
        return "resolved"
    if notice.changes:
        return f"flapping {notice.changes}"
    return "failed " + " ".join(STATUS_NAMES[kind] for kind in notice.kinds)


def _minute(time_us: int) -> float:
    return (time_us - START * MINUTE_US) / MINUTE_US


def _seen(row: Any) -> Seen:
    return Seen(
        status=row.status,
        began=_minute(row.date_added),
        updated=_minute(row.date_updated),
        expected=None if row.expected_time is None else round(_minute(row.expected_time)),
        timeout=None if row.timeout_at is None else round(_minute(row.timeout_at)),
        duration_s=None if row.duration_ms is None else row.duration_ms / 1000,
    )
