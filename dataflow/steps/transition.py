"""Transition: the lifecycle of check-ins and incidents. Keyed by the monitor's key group."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from dataflow.chunk import Chunk, EnvironmentMuted, Message, MonitorChanged, MonitorDeleted, Records
from dataflow.monitors import lifecycle
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn
from dataflow.monitors.environment import FAR_MINUTE, Environment, Monitor, MonitorState
from dataflow.monitors.journal import Journal, Row
from dataflow.steps.keyed import KeyGroup, read_snapshot
from dataflow.steps.rejections import rejection
from dataflow.wire.occurrences import message_of

_State = tuple[int, list[MonitorState]]
Deadline = tuple[int, int, str, str]
"""(minute, project id, slug, environment): what fires in one minute fires in this order."""


class Transition(KeyGroup[Records | Message]):
    """One key group of monitors, and the heap of their deadlines.

    Each environment has one entry at its earliest deadline or before it; an entry that comes up early goes back in.
    So a tick costs what is due, and a check-in that moves a deadline away costs nothing.
    """

    def __init__(self, snapshot: bytes | None) -> None:
        self._monitors: dict[tuple[int, str], Monitor] = {}
        self._deadlines: list[Deadline] = []
        self._minute = NO_MINUTE
        if snapshot is not None:
            self._minute, states = read_snapshot("transition", self.VERSION, snapshot, _State)
            for state in states:
                self._monitors[state.project_id, state.slug] = Monitor(state)
            self._rebuild()

    def _rebuild(self) -> None:
        for monitor in self._monitors.values():
            for environment in monitor.environments.values():
                due = FAR_MINUTE if monitor.is_disabled else environment.earliest_due()
                environment.scheduled_minute = due
                if due != FAR_MINUTE:
                    self._deadlines.append((due, monitor.project_id, monitor.slug, environment.name))
        heapify(self._deadlines)

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
        self._schedule(monitor, environment)

    def _schedule(self, monitor: Monitor, environment: Environment) -> None:
        due = environment.earliest_due()
        if due < environment.scheduled_minute:
            environment.scheduled_minute = due
            heappush(self._deadlines, (due, monitor.project_id, monitor.slug, environment.name))

    def _tick(self, minute: int, journal: Journal) -> None:
        """Work off every minute up to this one, in order."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= minute:
            due, project_id, slug, name = heappop(deadlines)
            monitor = self._monitors.get((project_id, slug))
            environment = monitor.environments.get(name) if monitor is not None else None
            if monitor is None or environment is None or environment.scheduled_minute != due:
                continue  # gone, or entered again for an earlier minute
            environment.scheduled_minute = FAR_MINUTE
            if not monitor.is_disabled:
                lifecycle.fire_due(monitor, environment, due, journal)
                self._schedule(monitor, environment)

    def _changed(self, item: MonitorChanged, journal: Journal) -> None:
        key = (item.project_id, item.slug)
        monitor = self._monitors.get(key)
        if monitor is None:
            self._monitors[key] = Monitor(
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
                self._schedule(monitor, environment)

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
        else:
            journal.delete(monitor, monitor.environments.pop(item.environment))
