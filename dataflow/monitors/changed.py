"""A change of a monitor: the ticks that come before it, and what it does."""

from __future__ import annotations

from dataflow.monitors.changes import Change, EnvironmentMuted, MonitorChanged
from dataflow.monitors.config import MonitorConfig, shared
from dataflow.monitors.counting import alarms_on_mute
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor, MonitorState, interned
from dataflow.monitors.rescheduled import reschedule, watch_again
from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Minute
from dataflow.monitors.tuning import Tuning


def awaited_by_change(monitor: Monitor | None, item: Change) -> Minute:
    """The last tick that must be known before the change can be applied; NO_MINUTE: none.

    It is in time for all ticks after it, and for none before it.
    """
    if monitor is None:
        return NO_MINUTE
    awaited = max([reached_before(each, item) for each in monitor.environments()], default=NO_MINUTE)
    if isinstance(item, MonitorChanged) and overdue(monitor, item):
        awaited = max(awaited, item.start_us // MINUTE_US)
    return awaited


def reached_before(environment: Environment, item: Change) -> Minute:
    """The last tick of an environment that comes before a change of its monitor.

    As with check-ins (`monitors.receive`), the clock of the partition that the change came from can stand for the
    event clock where the environment's check-ins come from there too. Other partitions may still hold some.
    """
    return item.clock_minute if environment.source == item.source else item.reached_minute


def first_tick_of(item: Change, tuning: Tuning) -> Minute:
    """The first tick that can come after the change."""
    return max((item.at_us - tuning.clock_delay_us) // MINUTE_US, item.clock_minute + 1)


def named(monitor: Monitor, name: str | None) -> list[Environment]:
    """The environment of this name; None: all of the monitor's, by name."""
    if name is None:
        return sorted(monitor.environments(), key=lambda each: each.name)
    environment = monitor.find(name)
    return [environment] if environment is not None else []


def overdue(monitor: Monitor, item: MonitorChanged) -> Environment | None:
    """The environment whose check-in changed the monitor, if it comes later than the latest time."""
    environment = monitor.find(item.environment) if item.environment is not None else None
    if environment is None or monitor.is_disabled or environment.latest_minute > item.start_us // MINUTE_US:
        return None
    return environment


def made(item: MonitorChanged, tuning: Tuning) -> Monitor:
    """A new monitor, without environments."""
    return Monitor.restore(
        MonitorState(
            project_id=item.project_id,
            slug=item.slug,
            name=item.name,
            is_disabled=item.is_disabled,
            is_muted=item.is_muted,
            config=shared(item.config),  # it may have come from another process
            environments={},
            organization_id=item.organization_id,
            owner=item.owner,
        ),
        tuning,
    )


def take_over(monitor: Monitor, item: MonitorChanged, journal: Journal) -> None:
    """Make the monitor what the change says, and compute its environments' next times if they depend on that."""
    enabled = monitor.is_disabled and not item.is_disabled
    if monitor.is_muted != item.is_muted:
        journal.mute(monitor, "", item.at_us, item.is_muted, True)
    monitor.name, monitor.is_disabled, monitor.is_muted = item.name, item.is_disabled, item.is_muted
    if item.environment is not None and asked_otherwise(monitor.config, item.config):
        changing = monitor.find(item.environment)
        if changing is not None:
            changing.changed_us = item.at_us  # its check-in follows
    monitor.organization_id, monitor.owner = item.organization_id, interned(item.owner)
    monitor.configure(item.config)
    first_tick = first_tick_of(item, monitor.tuning)
    for environment in monitor.environments():
        if enabled:
            watch_again(monitor, environment, item.at_us, first_tick, journal)
        elif item.reschedule:
            reschedule(monitor, environment, item.at_us, first_tick, journal)


def mute(monitor: Monitor, environment: Environment, item: EnvironmentMuted, journal: Journal) -> None:
    """Mute or unmute an environment."""
    if environment.is_muted != item.is_muted:
        journal.mute(monitor, environment.name, item.at_us, item.is_muted, True)
    environment.is_muted = item.is_muted
    alarms_on_mute(environment, item.at_us)
    journal.touch(monitor, environment, item.at_us)


def asked_otherwise(before: MonitorConfig, after: MonitorConfig) -> bool:
    """Whether a change of config moves the times at which check-ins are expected: schedule, zone or margin."""
    return (
        before.schedule_type != after.schedule_type
        or before.schedule != after.schedule
        or before.zone != after.zone
        or before.margin_minutes != after.margin_minutes
    )
