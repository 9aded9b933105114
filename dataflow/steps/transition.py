"""Transition: the lifecycle of check-ins and incidents. Keyed by the monitor's key group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bytewax.operators import StatefulBatchLogic

from dataflow.monitors import broken, deadline_rules, holding, lifecycle
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, Control
from dataflow.monitors.deadlines import Deadlines
from dataflow.monitors.decisions import ALL_NORMAL, Decision, Decisions, TickEvent
from dataflow.monitors.environment import FAR_MINUTE, Environment, Monitor, MonitorState
from dataflow.monitors.identity import system_incident_id
from dataflow.monitors.journal import Journal, Loss, Row
from dataflow.monitors.rules import USUAL_RULES, Rules
from dataflow.steps.key_group import KeyGroup, read_snapshot
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.transition_state import SavedMonitors, TransitionState
from dataflow.steps.waiting_items import Key, Parking
from dataflow.stream.items import (
    Change,
    Chunk,
    EnvironmentMuted,
    Item,
    Message,
    MonitorChanged,
    MonitorDeleted,
    Records,
    RuleRequested,
    Ticks,
)
from dataflow.wire.occurrences import message_of

Output = Records | Message


class Transition(KeyGroup[Chunk | Ticks, Output]):
    """One key group of monitors, and their deadlines.

    Two streams come here: the monitors' items with the watermark behind them, and what was decided about the ticks.
    A tick is worked off when both have come to it. An item goes ahead of ticks unless it depends on one of which
    nothing is known yet (`lifecycle.awaited_tick`): then it waits, and all later ones of its monitor behind it.
    """

    VERSION = 3

    def __init__(
        self,
        judges: bool,
        is_at_end: Callable[[], bool],
        snapshot: bytes | None,
        rules: Rules = USUAL_RULES,
    ) -> None:
        self._rules = rules
        self._judges = judges
        """Ticks are decided somewhere; if not, all are NORMAL."""
        self._is_at_end = is_at_end
        self._group = 0
        self._monitors: dict[Key, Monitor] = {}
        self._saved = SavedMonitors(self._monitors)
        self._deadlines = Deadlines()
        state = TransitionState(NO_MINUTE, [])
        if snapshot is not None:
            state = read_snapshot("transition", self.VERSION, snapshot, TransitionState)
        self._clock = state.clock_minute
        """The watermark of the items."""
        self._ticks_minute = state.ticks_minute
        """The watermark of the decisions."""
        # Of version 1, which had worked off whatever its clock had reached.
        self._decisions = state.decisions or Decisions(state.clock_minute)
        self._events = deque(state.events)
        """Of ticks to come."""
        self._parking = Parking(state.parked)
        self._holding: dict[tuple[int, str, str], tuple[Monitor, Environment]] = {}
        """The environments that hold something, by their names."""
        self._losses = state.losses
        if not judges:
            self._forget_decisions()
        elif self._decisions.clear_until == ALL_NORMAL:
            # Of a run that judged nothing, or came to the end of its input: from now on there are decisions again.
            self._decisions.clear_until = NO_MINUTE
        for saved in self._saved.restore(state):
            self._restore(Monitor.restore(saved, rules))

    def _forget_decisions(self) -> None:
        """Nobody decides any more: what is held counts at the next tick."""
        decisions = self._decisions
        decisions.clear_until = ALL_NORMAL
        self._events.clear()
        if decisions.pending_from != FAR_MINUTE:
            tick = decisions.minute + 1
            self._events.append(TickEvent(tick, Decision.NORMAL, tick))

    def _restore(self, monitor: Monitor) -> None:
        self._monitors[monitor.project_id, monitor.slug] = monitor
        for environment in monitor.environments():
            environment.scheduled_minute = FAR_MINUTE
            self._note_held(monitor, environment)
            if not monitor.is_disabled:
                self._deadlines.schedule(monitor, environment)

    def state(self) -> TransitionState:
        """What a snapshot holds."""
        return TransitionState(
            self._clock,
            [],
            self._ticks_minute,
            self._decisions,
            list(self._events),
            self._parking.state(),
            self._losses,
            self._saved.blocks(),
        )

    def apply(self, chunks: list[Chunk | Ticks]) -> list[Output]:
        """Apply items in order, and the ticks behind them."""
        journal = Journal()
        for chunk in chunks:
            if isinstance(chunk, Ticks):
                self._events += chunk.events
                self._ticks_minute = max(self._ticks_minute, chunk.clock_minute)
                self._decisions.clear_until = max(self._decisions.clear_until, chunk.clear_until)
            else:
                for item in chunk.items:
                    if type(item) is CheckIn:
                        self._take_check_in(item, journal)
                    else:
                        self._take(item, journal)
                self._clock = max(self._clock, chunk.clock_minute)
            self._work_off(journal)
        self._group = chunks[0].target
        return self._outputs(journal)

    def on_eof(self) -> tuple[list[Output], bool]:
        """The engine's call, when nothing comes any more: at the true end of the input nothing waits any longer."""
        journal = Journal()
        if self._is_at_end():
            self._decisions.clear_until = ALL_NORMAL
            self._unpark(FAR_MINUTE, journal)
        return self._outputs(journal), StatefulBatchLogic.RETAIN

    def _outputs(self, journal: Journal) -> list[Records | Message]:
        if self._decisions.pending_from != FAR_MINUTE:
            for monitor, environment in journal.touched():
                self._note_held(monitor, environment)
        out: list[Records | Message] = []
        rows: dict[str, list[Row]] = {
            "check_ins": journal.check_in_rows(),
            "monitor_environments": journal.environment_rows(),
            "incidents": journal.incidents,
            "broken_monitors": journal.broken,
            "mute_history": journal.mutes,
            "processing_errors": [rejection(item, errors) for item, errors in journal.rejected],
        }
        changes: list[Row] = []
        for notice in journal.notices:
            message, row = message_of(notice)
            out.append(message)
            changes.append(row)
        rows["status_changes"] = changes
        rows["system_incident_losses"] = [
            self._add_loss(start, loss) for start, loss in sorted(journal.losses.items())
        ]
        rows = {table: changed for table, changed in rows.items() if changed}
        if rows:
            out.append(Records(self._group, rows))
        return out

    def _add_loss(self, incident_start: int, loss: Loss) -> Row:
        """The row of what a system incident has cost this group so far; one that deletes it, if that is nothing."""
        total = self._losses.setdefault(incident_start, Loss())
        total.held += loss.held
        total.dropped += loss.dropped
        total.in_progress += loss.in_progress
        key = (system_incident_id(incident_start), self._group)
        if total == Loss():
            del self._losses[incident_start]
            return key
        return (*key, total.held, total.dropped, total.in_progress)

    def _take(self, item: Item, journal: Journal) -> None:
        assert not isinstance(item, Control | RuleRequested)
        key = (item.project_id, item.slug)
        if key in self._parking.items:
            self._parking.append(key, item)
        elif (tick := self._awaited_tick(item)) > self._decisions.known_until:
            self._parking.park(key, item, tick)
        else:
            self._apply(item, journal)

    def _take_check_in(self, item: CheckIn, journal: Journal) -> None:
        """As `_take`, for nearly all that comes: a check-in that waits for nothing."""
        key = (item.project_id, item.slug)
        if key not in self._parking.items:
            monitor = self._monitors[key]
            environment = monitor.first
            if environment is None or environment.name != item.environment:
                environment = monitor.find(item.environment)
            if (
                item.received_us // MINUTE_US <= self._decisions.clear_until
                or lifecycle.awaited_tick(monitor, environment, item) <= self._decisions.known_until
            ):
                self._receive(monitor, environment, item, journal)
                return
        self._take(item, journal)

    def _awaited_tick(self, item: Item) -> int:
        """The last tick that must be known before the item can be applied; NO_MINUTE: none."""
        if not isinstance(item, CheckIn):
            assert not isinstance(item, Control | RuleRequested)
            return self._tick_before(item)
        if item.received_us // MINUTE_US <= self._decisions.clear_until:
            return NO_MINUTE  # as awaited_tick would find, but fast
        monitor = self._monitors[item.project_id, item.slug]
        return lifecycle.awaited_tick(monitor, monitor.find(item.environment), item)

    def _tick_before(self, item: Change) -> int:
        """A change of a monitor is in time for all ticks behind it, and for none before it."""
        monitor = self._monitors.get((item.project_id, item.slug))
        environments = monitor.environments() if monitor is not None else []
        awaited = max((_reached(each, item) for each in environments), default=NO_MINUTE)
        if monitor is not None and isinstance(item, MonitorChanged) and _overdue(monitor, item):
            awaited = max(awaited, item.start_us // MINUTE_US)
        return awaited

    def _apply(self, item: Item, journal: Journal) -> None:
        if isinstance(item, CheckIn):
            self._check_in(item, journal)
        elif isinstance(item, MonitorChanged):
            self._changed(item, journal)
        elif isinstance(item, EnvironmentMuted):
            self._muted(item, journal)
        elif isinstance(item, MonitorDeleted):
            self._deleted(item, journal)

    def _check_in(self, item: CheckIn, journal: Journal) -> None:
        monitor = self._monitors[item.project_id, item.slug]
        self._receive(monitor, monitor.find(item.environment), item, journal)

    def _receive(
        self, monitor: Monitor, environment: Environment | None, item: CheckIn, journal: Journal
    ) -> None:
        if not monitor.is_noted:
            self._saved.note(monitor)
        if environment is None:
            environment = Environment(item.environment)
            monitor.add(environment)
            journal.touch(monitor, environment, item.received_us)
        lifecycle.receive(monitor, environment, item, self._decisions, journal)
        self._rescheduled(monitor, environment)

    def _work_off(self, journal: Journal) -> None:
        """Work off every tick that both watermarks have reached, in order."""
        until = min(self._clock, self._ticks_minute) if self._judges else self._clock
        if until <= self._decisions.minute:
            return
        while (minute := self._next_minute()) <= until:
            self._tick(minute, journal)
        self._decisions.minute = until

    def _next_minute(self) -> int:
        """The next tick at which something happens."""
        event_tick = self._events[0].tick if self._events else FAR_MINUTE
        return min(event_tick, self._deadlines.first_minute, self._parking.first_tick)

    def _tick(self, minute: int, journal: Journal) -> None:
        """Work off one tick.

        1. What is decided: about the tick, and with that about what is held.
        2. Deadlines; those of a monitor for which something waits only as far as they come before it.
        3. Check-ins in progress, if check-ins are being lost.
        4. What has waited for the tick.
        """
        decisions = self._decisions
        decisions.minute = max(decisions.minute, minute)
        event = self._events.popleft() if self._events and self._events[0].tick <= minute else None
        if event is not None:
            decisions.take(event)
            self._settle(event, journal)
        while (taken := self._deadlines.take(minute)) is not None:
            due, entries = taken
            for monitor, environment in entries:
                if due <= self._parking.clock_minute((monitor.project_id, monitor.slug)):
                    self._saved.note(monitor)
                    deadline_rules.fire_due(monitor, environment, due, decisions, journal)
                    self._rescheduled(monitor, environment)
        if event is not None and event.decision == Decision.INCIDENT:
            for monitor, environment in self._environments():
                if environment.runs and not monitor.is_disabled:
                    self._saved.note(monitor)
                    deadline_rules.lose_running(monitor, environment, minute, event.incident_start, journal)
        self._unpark(minute, journal)

    def _settle(self, event: TickEvent, journal: Journal) -> None:
        for names, (monitor, environment) in sorted(self._holding.items()):
            if monitor.find(environment.name) is environment:
                self._saved.note(monitor)
                holding.settle(monitor, environment, event, journal)
                if not monitor.is_disabled:
                    self._deadlines.schedule(monitor, environment)
            if environment.held is None:
                del self._holding[names]

    def _rescheduled(self, monitor: Monitor, environment: Environment) -> None:
        """Something of the environment has happened: see to its next deadline, and to what it holds."""
        if environment.may_fire_before(environment.scheduled_minute):
            self._deadlines.schedule(monitor, environment)
        if environment.held is not None:
            self._note_held(monitor, environment)

    def _note_held(self, monitor: Monitor, environment: Environment) -> None:
        if environment.held is not None:
            self._holding[monitor.project_id, monitor.slug, environment.name] = (monitor, environment)

    def _environments(self) -> list[tuple[Monitor, Environment]]:
        """All environments, in order of their names. It takes a while, and is for what happens rarely."""
        return [
            (monitor, environment)
            for _, monitor in sorted(self._monitors.items())
            for environment in sorted(monitor.environments(), key=_name_of)
        ]

    def _unpark(self, tick: int, journal: Journal) -> None:
        """Apply what has waited for the tick, as far as that does not wait for a later one."""
        while (taken := self._parking.take(tick)) is not None:
            key, items = taken
            for at, item in enumerate(items):
                if (awaited := self._awaited_tick(item)) > self._decisions.known_until:
                    self._parking.park_all(key, items[at:], awaited)
                    break
                self._apply(item, journal)
            if (monitor := self._monitors.get(key)) is not None and not monitor.is_disabled:
                self._saved.note(monitor)
                self._resume(monitor, self._parking.clock_minute(key), journal)

    def _resume(self, monitor: Monitor, clock_minute: int, journal: Journal) -> None:
        """Fire what ticks have left out while something waited that comes before them."""
        reached = self._decisions.minute
        for environment in sorted(monitor.environments(), key=_name_of):
            deadline_rules.fire_due(
                monitor, environment, min(reached, clock_minute), self._decisions, journal
            )
            self._note_held(monitor, environment)
            if clock_minute == FAR_MINUTE or environment.earliest_due() > reached:
                self._rescheduled(monitor, environment)

    def _changed(self, item: MonitorChanged, journal: Journal) -> None:
        key = (item.project_id, item.slug)
        monitor = self._monitors.get(key)
        if monitor is None:
            monitor = self._monitors[key] = Monitor.restore(
                MonitorState(
                    item.project_id,
                    item.slug,
                    item.name,
                    item.is_disabled,
                    item.is_muted,
                    item.config,
                    {},
                ),
                self._rules,
            )
            self._saved.note(monitor)
            return
        self._saved.note(monitor)
        self._catch_up(monitor, item, journal)
        if environment := _overdue(monitor, item):
            # Its check-in will meet what it missed (`lifecycle.receive`): that was under the old config.
            until = item.start_us // MINUTE_US
            deadline_rules.fire_late(monitor, environment, until, self._decisions, journal)
            self._rescheduled(monitor, environment)
        enabled = monitor.is_disabled and not item.is_disabled
        if monitor.is_muted != item.is_muted:
            journal.mute(monitor, "", item.at_us, item.is_muted, True)
        monitor.name, monitor.is_disabled, monitor.is_muted = item.name, item.is_disabled, item.is_muted
        monitor.configure(item.config)
        reached_minute = (item.at_us - self._rules.clock_delay_us) // MINUTE_US
        first_tick = max(reached_minute, item.clock_minute + 1)
        for environment in monitor.environments():
            if enabled:
                deadline_rules.watch_again(monitor, environment, item.at_us, first_tick, journal)
            elif item.reschedule:
                deadline_rules.reschedule(monitor, environment, item.at_us, first_tick, journal)
            if not monitor.is_disabled:
                self._deadlines.schedule(monitor, environment)

    def _catch_up(self, monitor: Monitor, item: Change, journal: Journal) -> None:
        """Fire what the clock had reached before the monitor changed."""
        if not monitor.is_disabled:
            for environment in monitor.environments():
                minute = _reached(environment, item)
                deadline_rules.fire_due(monitor, environment, minute, self._decisions, journal)
                self._rescheduled(monitor, environment)

    def _muted(self, item: EnvironmentMuted, journal: Journal) -> None:
        monitor = self._monitors[item.project_id, item.slug]
        environment = monitor.find(item.environment)
        assert environment is not None
        self._saved.note(monitor)
        self._catch_up(monitor, item, journal)
        if environment.is_muted != item.is_muted:
            journal.mute(monitor, environment.name, item.at_us, item.is_muted, True)
        environment.is_muted = item.is_muted
        broken.muted_by_person(environment, item.at_us)
        if not monitor.is_disabled:
            self._deadlines.schedule(monitor, environment)
        journal.touch(monitor, environment, item.at_us)

    def _deleted(self, item: MonitorDeleted, journal: Journal) -> None:
        key = (item.project_id, item.slug)
        monitor = self._monitors[key]
        self._saved.note(monitor)
        self._catch_up(monitor, item, journal)
        if item.environment is None:
            journal.delete(monitor, None)
            del self._monitors[key]
            gone = monitor.environments()
        else:
            environment = monitor.find(item.environment)
            assert environment is not None
            monitor.remove(environment)
            journal.delete(monitor, environment)
            gone = [environment]
        for environment in gone:
            environment.held = None
            self._deadlines.forget(environment)


def _name_of(environment: Environment) -> str:
    return environment.name


def _reached(environment: Environment, item: Change) -> int:
    """The last tick of an environment that comes before a change of its monitor.

    As with check-ins (`lifecycle.receive`), the clock of the partition that the change came from can stand for the
    event clock where the environment's check-ins come from there too. Other partitions may still hold some.
    """
    return item.clock_minute if environment.source == item.source else item.reached_minute


def _overdue(monitor: Monitor, item: MonitorChanged) -> Environment | None:
    """The environment whose check-in changed the monitor, if it comes later than the latest time."""
    environment = monitor.find(item.environment) if item.environment is not None else None
    if environment is None or monitor.is_disabled or environment.latest_minute > item.start_us // MINUTE_US:
        return None
    return environment
