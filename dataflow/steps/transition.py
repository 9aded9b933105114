"""Transition: the lifecycle of check-ins and incidents. Keyed by the monitor's key group.

The rules are in `monitors.group`; here they meet the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from bytewax.operators import StatefulBatchLogic

from dataflow.monitors.changes import GroupItem
from dataflow.monitors.group import MonitorGroup
from dataflow.monitors.journal import NO_BOUND, Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.schedule import NEVER
from dataflow.monitors.times import NO_MINUTE, Minute
from dataflow.monitors.tuning import DEFAULT_TUNING, Tuning
from dataflow.operations.metrics import KEY_GROUPS_BEHIND
from dataflow.process.log import warn
from dataflow.steps.epoch_work import PAUSE, EpochWork
from dataflow.steps.key_group import KeyGroup, restored
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.steps.transition_output import Output, outputs_of
from dataflow.steps.transition_state import SNAPSHOTS, SavedMonitors, TransitionState
from dataflow.stream.items import Chunk, Records, Ticks

_STREAMS = 2
"""Items come in one, decisions about ticks in the other."""
WORK_AT_ONCE = 200
"""Check-ins and messages of ticks that one call makes, about, and deadlines that fire before items: a tenth of a
second for each key group, or less."""


class Transition(KeyGroup[Chunk | Ticks, Output]):
    """One key group of monitors: chunks of items, and decisions about ticks, go in; records and messages come out."""

    CODEC = SNAPSHOTS

    def __init__(
        self,
        judges: bool,
        is_at_end: Callable[[], bool],
        snapshot: bytes | None,
        tuning: Tuning = DEFAULT_TUNING,
        finished: Callable[[int], None] = lambda _: None,
        work: EpochWork | None = None,
        store: BlockStore | None = None,
    ) -> None:
        """`is_at_end`: whether the input has ended, if it has, by itself. `finished` is called with the key group when
        all inputs have ended and nothing is left to be done. `work` is what all key groups share; None: an epoch
        takes any amount. `store`: where blocks of snapshots can be kept; None: nowhere."""
        self._is_at_end = is_at_end
        self._finished = finished
        self._work = work or EpochWork(NO_BOUND)
        self._last = 0
        """Of the two streams that come here, how many have ended."""
        self._target = 0
        self._is_behind = False
        """Ticks are left to be worked off. After a start that is found out with the first chunk."""
        self._is_shown = False
        """As the metric has it."""
        self._worked_off: Minute | None = None
        """As the tables have it; None: nothing has come since the start."""
        self._saved = SavedMonitors(store)
        state = restored(self.CODEC, snapshot) or TransitionState(NO_MINUTE, [])
        self.group = MonitorGroup(judges, tuning, state.group(), self._saved.restore(state))
        for monitor in self.group.monitors.values():
            if monitor.schedule is NEVER:
                _warn_of(monitor)

    def state(self) -> TransitionState:
        """What a snapshot holds."""
        self._work.end_epoch()
        return self._saved.state(self.group.state(), self.group.monitors, self.group.noted.take())

    def apply(self, chunks: list[Chunk | Ticks]) -> list[Output]:
        """Apply items in order, and the ticks after them."""
        group, left = self.group, WORK_AT_ONCE if self._work.has_room() else 0
        journal = Journal(left)
        self._target = chunks[0].target
        for chunk in chunks:
            if isinstance(chunk, Ticks):
                group.take_ticks(chunk.events, Minute(chunk.clock_minute), Minute(chunk.clear_until))
            else:
                # Controls and requests for sampling rules go no further than upsert and sample.
                group.take_all(cast("list[GroupItem]", chunk.items), Minute(chunk.clock_minute), journal)
            taken = journal.size()
            self._is_behind = left <= 0 or not group.work_off(journal, left)
            done = journal.size() - taken
            left -= done
            self._work.take(done)
            self._last += chunk.is_last
        self._work.take(journal.taken())
        if self._last == _STREAMS:
            self._finish(journal)
        return self._outputs(journal)

    def go_on(self) -> list[Output]:
        """Work off another piece of what is left."""
        if not self._work.has_room():
            return []
        journal = Journal(WORK_AT_ONCE)
        self._is_behind = not self.group.work_off(journal, WORK_AT_ONCE)
        if self._last == _STREAMS:
            self._finish(journal)
        self._work.take(journal.size())
        return self._outputs(journal)

    def _outputs(self, journal: Journal) -> list[Output]:
        """What has come of a call; and a piece of the next snapshot is made ready."""
        self._saved.work(self.group.monitors, self.group.noted)
        self._show()
        return self._brought(journal) + self._saved.hand_over(f"transition/{self._target}")

    def _finish(self, journal: Journal) -> None:
        """The inputs have ended: once all ticks are worked off, nothing waits any longer. Sources wait for that with
        their own end, after which there is but one call."""
        if not self._is_behind and self._is_at_end():
            self._is_behind = not self.group.end(journal)
        if not self._is_behind:
            self._finished(self._target)

    def _show(self) -> None:
        """Let the metric count this group while it is behind."""
        if self._is_behind is not self._is_shown:
            self._is_shown = self._is_behind
            KEY_GROUPS_BEHIND.inc(1 if self._is_shown else -1)

    def _brought(self, journal: Journal) -> list[Output]:
        """Records and messages; and for the tables, how far the ticks have been worked off."""
        out = outputs_of(self.group, journal, self._target)
        if self.group.worked_off != self._worked_off:
            self._worked_off = self.group.worked_off
            records = next((each for each in out if isinstance(each, Records)), None)
            if records is None:
                records = Records(self._target, {})
                out.append(records)
            records.worked_off = {self._target: self._worked_off}
        return out

    def notify_at(self) -> datetime | None:
        """The engine's call: at once, while ticks are left, or when the next epoch may have begun. In between it ends
        epochs, and hears of a stop."""
        if not self._is_behind:
            return None
        return datetime.now(UTC) if self._work.has_room() else datetime.now(UTC) + PAUSE

    def on_eof(self) -> tuple[list[Output], bool]:
        """The engine's call, when nothing comes any more. At the true end of the input nothing waits any longer; mostly
        it has been worked off before."""
        journal = Journal()
        if self._is_at_end():
            self.group.work_off(journal)
            self.group.end(journal)
        if self._worked_off is None:  # nothing has come, not even which key group this is
            return outputs_of(self.group, journal, self._target), StatefulBatchLogic.RETAIN
        return self._brought(journal), StatefulBatchLogic.RETAIN


def _warn_of(monitor: Monitor) -> None:
    """Name a monitor whose config an earlier release accepted, and this one does not."""
    config = monitor.config
    warn(
        "unusable_schedule",
        project_id=monitor.project_id,
        slug=monitor.slug,
        schedule=config.schedule,
        timezone=config.zone,
        text=f"monitor {monitor.slug} of project {monitor.project_id}: this release cannot use its schedule "
        f"({config.schedule}, {config.zone}); no check-in is expected until it is configured again",
    )
