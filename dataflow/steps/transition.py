"""Transition: the lifecycle of check-ins and incidents. Keyed by the monitor's key group."""

from __future__ import annotations

from dataflow.chunk import Chunk, EnvironmentMuted, Message, MonitorChanged, MonitorDeleted, Records
from dataflow.monitors import lifecycle
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn
from dataflow.monitors.deadlines import Deadlines
from dataflow.monitors.environment import FAR_MINUTE, Environment, Monitor, MonitorState
from dataflow.monitors.journal import Journal, Row
from dataflow.steps.keyed import KeyGroup, read_snapshot
from dataflow.steps.rejections import rejection
from dataflow.wire.occurrences import message_of

_State = tuple[int, list[MonitorState]]


class Transition(KeyGroup[Records | Message]):
    """One key group of monitors, and their deadlines."""

    def __init__(self, snapshot: bytes | None) -> None:
        self._monitors: dict[tuple[int, str], Monitor] = {}
        self._deadlines = Deadlines()
        self._minute = NO_MINUTE
        if snapshot is not None:
            self._minute, states = read_snapshot("transition", self.VERSION, snapshot, _State)
            for state in states:
                self._restore(Monitor.restore(state))

    def _restore(self, monitor: Monitor) -> None:
        self._monitors[monitor.project_id, monitor.slug] = monitor
        for environment in monitor.environments.values():
            environment.scheduled_minute = FAR_MINUTE
            if not monitor.is_disabled:
                self._deadlines.schedule(monitor, environment)

    def state(self) -> _State:
        """What a snapshot holds."""
        return self._minute, [monitor.state() for monitor in self._monitors.values()]

    def apply(self, chunks: list[Chunk]) -> list[Records | Message]:
        """Apply items in order, and the watermark behind them."""
        journal = Journal()
        for chunk in chunks:
            for item in chunk.items:
                if isinstance(item, CheckIn):
                    self._check_in(item, journal)
                elif isinstance(item, MonitorChanged):
                    self._changed(item, journal)
                elif isinstance(item, EnvironmentMuted):
                    self._muted(item, journal)
                elif isinstance(item, MonitorDeleted):
                    self._deleted(item, journal)
            if chunk.clock_minute > self._minute:
                self._minute = chunk.clock_minute
                self._tick(chunk.clock_minute, journal)
        return self._outputs(chunks[0].target, journal)

    def _outputs(self, group: int, journal: Journal) -> list[Records | Message]:
        out: list[Records | Message] = []
        rows: dict[str, list[Row]] = {
            "check_ins": journal.check_ins,
            "monitor_environments": journal.environment_rows(),
            "incidents": journal.incidents,
            "processing_errors": [rejection(item, errors) for item, errors in journal.rejected],
        }
        changes: list[Row] = []
        for notice in journal.notices:
            message, row = message_of(notice)
            out.append(message)
            changes.append(row)
        rows["status_changes"] = changes
        rows = {table: changed for table, changed in rows.items() if changed}
        if rows:
            out.append(Records(group, rows))
        return out

    def _check_in(self, item: CheckIn, journal: Journal) -> None:
        monitor = self._monitors[item.project_id, item.slug]
        environment = monitor.environments.get(item.environment)
        if environment is None:
            environment = monitor.environments[item.environment] = Environment(item.environment)
            journal.touch(monitor, environment, item.received_us)
        lifecycle.receive(monitor, environment, item, journal)
        self._deadlines.schedule(monitor, environment)

    def _tick(self, minute: int, journal: Journal) -> None:
        """Work off every minute up to this one, in order."""
        deadlines = self._deadlines
        while (taken := deadlines.take(minute)) is not None:
            due, entries = taken
            for monitor, environment in entries:
                lifecycle.fire_due(monitor, environment, due, journal)
                deadlines.schedule(monitor, environment)

    def _changed(self, item: MonitorChanged, journal: Journal) -> None:
        key = (item.project_id, item.slug)
        monitor = self._monitors.get(key)
        if monitor is None:
            self._monitors[key] = Monitor.restore(
                MonitorState(
                    item.project_id,
                    item.slug,
                    item.name,
                    item.is_disabled,
                    item.is_muted,
                    item.config,
                    {},
                )
            )
            return
        self._catch_up(monitor, item.clock_minute, journal)
        enabled = monitor.is_disabled and not item.is_disabled
        monitor.name, monitor.is_disabled, monitor.is_muted = item.name, item.is_disabled, item.is_muted
        monitor.configure(item.config)
        first_tick = max(item.at_us // MINUTE_US, item.clock_minute + 1)
        for environment in monitor.environments.values():
            if enabled:
                lifecycle.watch_again(monitor, environment, item.at_us, first_tick, journal)
            elif item.reschedule:
                lifecycle.reschedule(monitor, environment, item.at_us, first_tick, journal)
            if not monitor.is_disabled:
                self._deadlines.schedule(monitor, environment)

    def _catch_up(self, monitor: Monitor, minute: int, journal: Journal) -> None:
        """Fire what the partition's clock had reached before the monitor changed."""
        if not monitor.is_disabled:
            for environment in monitor.environments.values():
                lifecycle.fire_due(monitor, environment, minute, journal)

    def _muted(self, item: EnvironmentMuted, journal: Journal) -> None:
        monitor = self._monitors[item.project_id, item.slug]
        environment = monitor.environments[item.environment]
        self._catch_up(monitor, item.clock_minute, journal)
        environment.is_muted = item.is_muted
        journal.touch(monitor, environment, item.at_us)

    def _deleted(self, item: MonitorDeleted, journal: Journal) -> None:
        key = (item.project_id, item.slug)
        monitor = self._monitors[key]
        self._catch_up(monitor, item.clock_minute, journal)
        if item.environment is None:
            journal.delete(monitor, None)
            del self._monitors[key]
            gone = list(monitor.environments.values())
        else:
            gone = [monitor.environments.pop(item.environment)]
            journal.delete(monitor, gone[0])
        for environment in gone:
            self._deadlines.forget(environment)
