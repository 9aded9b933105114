"""Messages as the flow makes them, for tests."""

from __future__ import annotations

from typing import Any

from cronwax.notify.events import Event, read_event
from dataflow.monitors import identity
from dataflow.monitors.check_in import CheckInStatus
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import EnvironmentStatus
from dataflow.monitors.journal import BrokenNotice, FailureNotice, RecoveryNotice
from dataflow.monitors.notices import AcknowledgedNotice
from dataflow.monitors.records import Incident
from dataflow.monitors.run import Run
from dataflow.monitors.silences import MAINTENANCE, Silence
from dataflow.monitors.times import NO_MINUTE, NO_TIME, Microseconds, Minute
from dataflow.monitors.volume_judge import SystemIncident
from dataflow.wire.occurrences import message_of
from dataflow.wire.silences import silence_message
from dataflow.wire.stalls import Stall, stall_message
from dataflow.wire.system_incidents import system_incident_message
from tests.builders import START_S

CONFIG = MonitorConfig("crontab", "0 3 * * *", "Europe/Vienna", 5, 30, 1, 1)


def us(at_s: float) -> Microseconds:
    return Microseconds(round((START_S + at_s) * 1_000_000))


def incident(slug: str, number: int, project: int, environment: str, at_s: float) -> Incident:
    guid = number.to_bytes(16, "big")
    names = (project, slug, environment)
    return Incident(*identity.incident_names(*names, guid), guid, us(at_s))


def failure(
    slug: str = "nightly",
    number: int = 1,
    at_s: float = 0,
    *,
    again: int = 0,
    project: int = 1,
    environment: str = "production",
    status: CheckInStatus = CheckInStatus.ERROR,
    name: str | None = None,
    changes: int = 0,
    config: MonitorConfig = CONFIG,
    last_ok_s: float | None = None,
    expected_s: float | None = None,
    duration_ms: int | None = None,
    known_s: float | None = None,
) -> bytes:
    """A failure in incident `number` of the environment; `again`: not its first, but one of this number after it."""
    guid = (number * 1_000_000 + again).to_bytes(16, "big")
    run = Run(
        guid,
        status,
        us(at_s),
        us(at_s if known_s is None else known_s),
        Minute(NO_MINUTE if expected_s is None else us(expected_s) // 60_000_000),
        duration_ms=duration_ms,
    )
    notice = FailureNotice(
        project,
        slug,
        slug if name is None else name,
        config,
        environment,
        EnvironmentStatus.ERROR,
        incident(slug, number, project, environment, at_s - 60 * again),
        guid,
        None,
        (int(status),),
        NO_TIME if last_ok_s is None else us(last_ok_s),
        us(at_s if known_s is None else known_s),
        changes,
        60 if changes else 0,
        run,
    )
    return message_of(notice)[0].payload


def recovery(
    slug: str = "nightly",
    number: int = 1,
    at_s: float = 600,
    *,
    project: int = 1,
    environment: str = "production",
) -> bytes:
    """That incident `number` is resolved."""
    found = incident(slug, number, project, environment, 0)
    return message_of(RecoveryNotice(project, slug, environment, found, b"\0" * 16, us(at_s)))[0].payload


def broken(kind: str = "monitor_broken", slug: str = "nightly", number: int = 1, at_s: float = 0) -> bytes:
    """A message about a broken monitor."""
    found = incident(slug, number, 1, "production", 0)
    notice = BrokenNotice(kind, 1, slug, slug, "production", found, b"\0" * 16, us(0), us(at_s))
    return message_of(notice)[0].payload


def acknowledged(
    slug: str, number: int = 1, at_s: float = 60, *, who: str, is_acknowledged: bool = True
) -> bytes:
    """Somebody has acknowledged incident `number`, or takes that back."""
    found = incident(slug, number, 1, "production", 0)
    names = (1, slug, slug, "production")
    notice = AcknowledgedNotice(*names, found, b"\0" * 16, is_acknowledged, who, None, us(at_s))
    return message_of(notice)[0].payload


def silence(end_ms: int, start_ms: int = 0, *, ended_ms: int | None = None, **fields: Any) -> Event:
    """Somebody announces a maintenance, or ends it; times are ms since the epoch."""
    given: dict[str, Any] = {"id": "s", "kind": MAINTENANCE, "organization_id": 1} | fields
    start_us = Microseconds(start_ms * 1_000)
    found = Silence(
        announced_us=start_us, start_us=start_us, duration_us=(end_ms - start_ms) * 1_000, **given
    )
    if ended_ms is not None:
        found = found.ended(Microseconds(ended_ms * 1_000))
    return event(silence_message(found, found.announced_us)[0].payload)


def system_incident(is_over: bool = False) -> bytes:
    """Check-ins are being lost, or no longer."""
    minute = START_S // 60
    over = (Minute(minute + 9), Minute(minute + 10)) if is_over else ()
    return system_incident_message(SystemIncident(Minute(minute), Minute(minute + 2), 0, 9.0, *over))[
        0
    ].payload


def stall(is_over: bool = False, subject: str = "event clock") -> bytes:
    """The event clock stands still, or no longer."""
    return stall_message(Stall("clock", subject, us(0), us(300), 120.0, is_over)).payload


def event(message: bytes) -> Event:
    found = read_event(message)
    assert found is not None
    return found


def opened(*given: Any, **named: Any) -> Event:
    return event(failure(*given, **named))


def ended(*given: Any, **named: Any) -> Event:
    return event(recovery(*given, **named))
