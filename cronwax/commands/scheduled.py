"""Scheduled times for answers, computed by the flow's own rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dataflow.monitors.times import MINUTE_US, Microseconds, Minute
from state.ask.why.facts import Config

if TYPE_CHECKING:
    from dataflow.monitors.schedule import Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class FlowSchedules:
    """See `state.ask.why.due.Schedules`."""

    def after(self, config: Config, moment: datetime) -> datetime | None:
        """The first scheduled time after a moment; None: there is none, or the config cannot be used."""
        schedule = _schedule(config)
        return None if schedule is None else _moment(schedule.after(_time_us(moment)))

    def resume(self, config: Config, expected: datetime, tick: datetime) -> datetime | None:
        """The first scheduled time that is not before a tick at which a run had failed that was expected then."""
        schedule = _schedule(config)
        if schedule is None:
            return None
        return _moment(schedule.resume(_time_us(expected) // MINUTE_US, _time_us(tick) // MINUTE_US))


def _schedule(config: Config) -> Schedule | None:
    from dataflow.monitors.schedule import schedule_for  # slow to import, and seldom needed

    try:
        return schedule_for(config.schedule_type, config.schedule, config.timezone)
    except (ValueError, KeyError):
        return None


def _time_us(moment: datetime) -> Microseconds:
    return Microseconds((moment - _EPOCH) // _MICROSECOND)


def _moment(minute: Minute) -> datetime | None:
    from dataflow.monitors.schedule import LAST_MINUTE

    return None if minute >= LAST_MINUTE else _EPOCH + timedelta(minutes=minute)
