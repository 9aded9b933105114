"""One key group of monitors: its items, ticks, deadlines, and what waits. These are the rules as a whole; the
transition step only brings what comes, and takes away what the journal holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from dataflow.monitors.acknowledged import acknowledge
from dataflow.monitors.changed import (
    awaited_by_change,
    first_tick_of,
    made,
    mute,
    named,
    overdue,
    reached_before,
    take_over,
)
from dataflow.monitors.changes import (
    Change,
    EnvironmentMuted,
    EnvironmentReset,
    GroupItem,
    IncidentAcknowledged,
    MaintenanceSet,
    MonitorChanged,
    MonitorDeleted,
    MonitorItem,
)
from dataflow.monitors.check_in import CheckIn
from dataflow.monitors.deadlines import Deadlines
from dataflow.monitors.decisions import ALL_NORMAL, Decision, Decisions, TickEvent
from dataflow.monitors.due import catch_up, earliest_due, fire_due, fire_late, may_fire_before
from dataflow.monitors.environment import Environment
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.holding import Holders, settle
from dataflow.monitors.journal import NO_BOUND, Journal
from dataflow.monitors.lost import lose_running
from dataflow.monitors.monitor import Key, Monitor, MonitorState, environments_by_name
from dataflow.monitors.noted import Noted
from dataflow.monitors.receive import Left, awaited_tick, receive
from dataflow.monitors.reset import reset
from dataflow.monitors.silences import announce
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_MINUTE, Minute
from dataflow.monitors.tuning import DEFAULT_TUNING, Tuning
from dataflow.monitors.usual import take_usual
from dataflow.monitors.waiting import WaitingItems


class MonitorGroup:
    """A key group of monitors. Two streams come here: the monitors' items with the watermark after them, and what was
    decided about the ticks. A tick is worked off when both have come to it. An item goes ahead of ticks unless it
    depends on one of which nothing is known yet (`receive.awaited_tick`): then it waits, and all later ones of its
    monitor wait after it. `take_all` items and `take_ticks`, then `work_off`: what happens is noted in the journal.
    """

    def __init__(
        self,
        judges: bool,
        tuning: Tuning = DEFAULT_TUNING,
        state: GroupState | None = None,
        monitors: Iterable[MonitorState] = (),
    ) -> None:
        """A group as of `state`. `judges`: ticks are decided somewhere; if not, all are NORMAL."""
        state = state or GroupState()
        self.monitors: dict[Key, Monitor] = {}
        """To be read only."""
        self.clock_minute = state.clock_minute
        """All items before this minute have come."""
        self.losses = dict(state.losses)
        """What system incidents have cost so far, by their first minutes."""
        self._judges = judges
        self._tuning = tuning
        self._deadlines = Deadlines()
        self._ticks_minute = state.ticks_minute
        # A snapshot without decisions is of version 1, which had worked off whatever its clock had reached.
        self._decisions = state.decisions or Decisions(state.clock_minute)
        self._events = deque(state.events)
        self._waiting = WaitingItems(state.waiting, state.begun)
        self._is_unfinished = True
        """Something may be left of ticks that have been taken."""
        self._holders = Holders()
        self.noted = Noted()
        """The monitors that may have changed, or are deleted."""
        if not judges:
            self._forget_decisions()
        elif self._decisions.clear_until == ALL_NORMAL:
            # Of a run that judged nothing, or came to the end of its input: from now on there are decisions again.
            self._decisions.clear_until = NO_MINUTE
        for saved in monitors:
            self._restore(Monitor.restore(saved, tuning))

    def _forget_decisions(self) -> None:
        """Nobody decides any more: what is held counts at the next tick."""
        self._decisions.clear_until = ALL_NORMAL
        self._events.clear()
        if self._decisions.pending_from != FAR_MINUTE:
            tick = self._decisions.minute + 1
            self._events.append(TickEvent(tick, Decision.NORMAL, tick))

    def _restore(self, monitor: Monitor) -> None:
        self.monitors[monitor.key] = monitor
        for environment in monitor.environments():
            environment.scheduled_minute = FAR_MINUTE
            self._holders.note(monitor, environment)
        self._schedule(monitor, monitor.environments())

    def state(self) -> GroupState:
        """What a snapshot keeps, beside the monitors."""
        return GroupState(
            clock_minute=self.clock_minute,
            ticks_minute=self._ticks_minute,
            decisions=self._decisions,
            events=list(self._events),
            waiting=self._waiting.state(),
            losses=self.losses,
            begun=self._waiting.begun_state(),
        )

    @property
    def worked_off(self) -> Minute:
        """All that ticks up to this one bring about is done; NO_MINUTE: nothing is."""
        done = min(self._decisions.minute, self._waiting.least_clock_minute)
        left = self._deadlines.first_minute - 1 if self._is_unfinished else done
        return max(Minute(min(done - self._is_unfinished, left)), NO_MINUTE)

    def take_ticks(self, events: list[TickEvent], clock_minute: Minute, clear_until: Minute) -> None:
        """What has been decided about the ticks up to `clock_minute`."""
        self._events += events
        self._ticks_minute = max(self._ticks_minute, clock_minute)
        self._decisions.clear_until = max(self._decisions.clear_until, clear_until)

    def end(self, journal: Journal) -> bool:
        """Nothing comes any more: what waits waits no longer. Whether all is done that the journal has room for."""
        self._decisions.clear_until = ALL_NORMAL
        return self._apply_waiting(FAR_MINUTE, journal) and not self._is_unfinished

    def look_for_held(self, journal: Journal) -> None:
        """While ticks are pending, find the environments that hold something since the journal was begun."""
        if self._decisions.pending_from != FAR_MINUTE:
            for monitor, environment in journal.touched():
                self._holders.note(monitor, environment)

    def take_all(self, items: list[GroupItem], clock_minute: Minute, journal: Journal) -> None:
        """Apply items in order, or let them wait; no earlier one than of `clock_minute` comes after them."""
        waiting, monitors, deadlines = self._waiting.items, self.monitors, self._deadlines
        for item in items:
            if type(item) is CheckIn and (key := (item.project_id, item.slug)) not in waiting:
                monitor = monitors[key]
                environment = monitor.first
                if environment is None or environment.name != item.environment:
                    environment = monitor.find(item.environment)
                if environment is not None:
                    due = take_usual(monitor, environment, item, journal)
                    if due is not None:
                        if not monitor.is_noted:
                            self.noted.add(monitor)
                        if due < environment.scheduled_minute:
                            deadlines.enter(monitor, environment, due)
                        continue
                if self._take_at_once(monitor, environment, item, journal):
                    continue
            self._take(item, journal)
        self.clock_minute = max(self.clock_minute, clock_minute)

    def _take(self, item: GroupItem, journal: Journal) -> None:
        if isinstance(item, MaintenanceSet):  # depends on no tick, and holds for those to come
            announce(self._decisions.maintenances, item.silence, item.at_us)
            return
        key = (item.project_id, item.slug)
        if key in self._waiting.items:
            self._waiting.append(key, item)
        elif (tick := self._awaited_tick(item)) > self._decisions.known_until:
            self._waiting.wait(key, [item], tick)
        elif (left := self._apply(item, journal)) is not None:
            self._leave(key, [item], left)

    def _leave(self, key: Key, items: list[MonitorItem], left: Left) -> None:
        """Go on with a monitor's first item in the next call: more comes before it than one call takes."""
        self._waiting.leave(key, items, self._decisions.minute, left)
        self._is_unfinished = True

    def _take_at_once(
        self, monitor: Monitor, environment: Environment | None, item: CheckIn, journal: Journal
    ) -> bool:
        """Apply a check-in that waits for nothing, though it is not a usual one."""
        if (
            item.received_us // MINUTE_US <= self._decisions.clear_until
            or awaited_tick(monitor, environment, item) <= self._decisions.known_until
        ):
            if (left := self._receive(monitor, environment, item, journal, Left.DUE)) is not None:
                self._leave(monitor.key, [item], left)
            return True
        return False

    def _awaited_tick(self, item: MonitorItem) -> Minute:
        """The last tick that must be known before the item can be applied; NO_MINUTE: none."""
        if not isinstance(item, CheckIn):
            return awaited_by_change(self.monitors.get((item.project_id, item.slug)), item)
        if item.received_us // MINUTE_US <= self._decisions.clear_until:
            return NO_MINUTE  # as awaited_tick would find, but fast
        monitor = self.monitors[item.project_id, item.slug]
        return awaited_tick(monitor, monitor.find(item.environment), item)

    def _apply(self, item: MonitorItem, journal: Journal, began: Left = Left.DUE) -> Left | None:
        if isinstance(item, CheckIn):
            monitor = self.monitors[item.project_id, item.slug]
            return self._receive(monitor, monitor.find(item.environment), item, journal, began)
        if isinstance(item, MonitorChanged):
            return self._changed(item, journal, began)
        if not self._catch_up(self.monitors[item.project_id, item.slug], item, journal):
            return Left.DUE
        if isinstance(item, EnvironmentMuted):
            self._muted(item, journal)
        elif isinstance(item, EnvironmentReset):
            self._reset(item, journal)
        elif isinstance(item, IncidentAcknowledged):
            acknowledge(self.monitors[item.project_id, item.slug], item, journal)
        else:
            self._deleted(item, journal)
        return None

    def _receive(
        self, monitor: Monitor, environment: Environment | None, item: CheckIn, journal: Journal, began: Left
    ) -> Left | None:
        if not monitor.is_noted:
            self.noted.add(monitor)
        if environment is None:
            environment = Environment.new(item.environment)
            monitor.add(environment)
            journal.touch(monitor, environment, item.received_us)
        left = receive(monitor, environment, item, self._decisions, journal, began)
        self._rescheduled(monitor, environment)
        return left

    def work_off(self, journal: Journal, at_most: int | None = None) -> bool:
        """Process the ticks that both watermarks have reached, in order; whether all are done.

        `at_most`: stop after a tick with which this many check-ins and messages have come together, so that a call is
        short however far the clock jumps. The rest can wait: an item goes ahead of ticks anyway.
        """
        until = min(self.clock_minute, self._ticks_minute) if self._judges else self.clock_minute
        if until <= self._decisions.minute:
            if not self._is_unfinished:
                return True
            until = self._decisions.minute
        full = NO_BOUND if at_most is None else journal.size() + at_most
        while (minute := self._next_minute()) <= until:
            if not self._tick(minute, journal, full) or journal.size() >= full:
                self._is_unfinished = True
                return False
        self._decisions.minute, self._is_unfinished = until, False
        return True

    def _next_minute(self) -> Minute:
        """The next tick at which something happens."""
        event_tick = self._events[0].tick if self._events else FAR_MINUTE
        return min(event_tick, self._deadlines.first_minute, self._waiting.first_tick)

    def _tick(self, minute: Minute, journal: Journal, full: int) -> bool:
        """Work off one tick, or what a call left of it; whether that is done. A journal of this size is full.

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
            for at, (monitor, environment) in enumerate(entries):
                if event is None and journal.size() >= full:
                    for entry in entries[at:]:
                        self._deadlines.schedule(*entry)
                    return False
                if self._waiting.may_fire(monitor, environment, due):
                    self.noted.add(monitor)
                    fire_due(monitor, environment, due, decisions, journal)
                    self._rescheduled(monitor, environment)
        if event is not None and event.decision == Decision.INCIDENT:
            for monitor, environment in environments_by_name(self.monitors):
                if environment.runs and not monitor.is_disabled:
                    self.noted.add(monitor)
                    lose_running(monitor, environment, minute, event.incident_start, journal)
        return self._apply_waiting(minute, journal)

    def _settle(self, event: TickEvent, journal: Journal) -> None:
        for monitor, environment in self._holders.settling():
            self.noted.add(monitor)
            settle(monitor, environment, event, journal)
            self._schedule(monitor, [environment])

    def _rescheduled(self, monitor: Monitor, environment: Environment) -> None:
        """Something of the environment has happened: see to its next deadline, and to what it holds."""
        if may_fire_before(environment, environment.scheduled_minute):
            self._deadlines.schedule(monitor, environment)
        if environment.held is not None:
            self._holders.note(monitor, environment)

    def _apply_waiting(self, tick: Minute, journal: Journal) -> bool:
        """Apply what has waited for the tick, as far as that does not wait for a later one; whether that is done."""
        while self._waiting.items and self._waiting.first_tick <= tick:
            if journal.is_full() or (taken := self._waiting.take(tick)) is None:
                return False
            key, items, began = taken
            left: Left | None = None
            for at, item in enumerate(items):
                if began is None and (awaited := self._awaited_tick(item)) > self._decisions.known_until:
                    self._waiting.wait(key, items[at:], awaited)
                    break
                if (left := self._apply(item, journal, began or Left.DUE)) is not None:
                    self._leave(key, items[at:], left)
                    break
                began = None
            if left is None and (monitor := self.monitors.get(key)) is not None and not monitor.is_disabled:
                self.noted.add(monitor)
                self._resume(monitor, self._waiting.clock_minute(key), journal)
        return True

    def _resume(self, monitor: Monitor, clock_minute: Minute, journal: Journal) -> None:
        """Fire what ticks have left out while something waited that comes before them."""
        reached = self._decisions.minute
        for environment in named(monitor, None):
            is_done = catch_up(monitor, environment, min(reached, clock_minute), self._decisions, journal)
            self._is_unfinished |= not is_done
            self._holders.note(monitor, environment)
            if not is_done or clock_minute == FAR_MINUTE or earliest_due(environment) > reached:
                self._rescheduled(monitor, environment)

    def _changed(self, item: MonitorChanged, journal: Journal, began: Left) -> Left | None:
        monitor = self.monitors.get((item.project_id, item.slug))
        if monitor is None:
            monitor = self.monitors[item.project_id, item.slug] = made(item, self._tuning)
            self.noted.add(monitor)
            return None
        self.noted.add(monitor)
        if began is Left.DUE and not self._catch_up(monitor, item, journal):
            return Left.DUE
        environment = overdue(monitor, item) if began is Left.DUE else monitor.find(item.environment or "")
        if environment is not None:
            # Its check-in will meet what it missed (`monitors.receive`): that was under the old config.
            is_done = fire_late(monitor, environment, item.start_us // MINUTE_US, self._decisions, journal)
            self._rescheduled(monitor, environment)
            if not is_done:
                return Left.LATE
        take_over(monitor, item, journal)
        self._schedule(monitor, monitor.environments())
        return None

    def _catch_up(self, monitor: Monitor, item: Change, journal: Journal) -> bool:
        """Fire what the clock had reached before the monitor changed; whether all of it was."""
        self.noted.add(monitor)
        is_done = True
        if not monitor.is_disabled:
            for environment in monitor.environments():
                minute = reached_before(environment, item)
                is_done &= catch_up(monitor, environment, minute, self._decisions, journal)
                self._rescheduled(monitor, environment)
        return is_done

    def _schedule(self, monitor: Monitor, environments: list[Environment]) -> None:
        if not monitor.is_disabled:
            for environment in environments:
                self._deadlines.schedule(monitor, environment)

    def _muted(self, item: EnvironmentMuted, journal: Journal) -> None:
        monitor = self.monitors[item.project_id, item.slug]
        (environment,) = named(monitor, item.environment)
        mute(monitor, environment, item, journal)
        self._schedule(monitor, [environment])

    def _reset(self, item: EnvironmentReset, journal: Journal) -> None:
        monitor = self.monitors[item.project_id, item.slug]
        environments, first_tick = named(monitor, item.environment), first_tick_of(item, self._tuning)
        for environment in environments:
            reset(monitor, environment, item.at_us, first_tick, journal)
        self._schedule(monitor, environments)

    def _deleted(self, item: MonitorDeleted, journal: Journal) -> None:
        monitor = self.monitors[item.project_id, item.slug]
        if item.environment is None:
            journal.delete(monitor, None)
            del self.monitors[monitor.key]
            gone = monitor.environments()
        else:
            gone = named(monitor, item.environment)
            monitor.remove(gone[0])
            journal.delete(monitor, gone[0])
        for environment in gone:
            environment.held = None
            self._deadlines.forget(environment)
