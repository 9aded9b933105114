"""Sample: which raw check-ins are kept whole. Keyed by the organization's key group. It hangs off the gate and holds
nobody up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from dataflow.monitors.times import NO_MINUTE
from dataflow.sampling.sampler import Decided, Sampler, SamplerState
from dataflow.steps.control_rows import control_row
from dataflow.steps.key_group import KeyGroup, restored
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.sample_state import SNAPSHOTS, SampleState, SavedWaiting
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.stream.items import BlockWrite, Chunk, Records
from dataflow.wire.check_ins import payload_of
from state.schema.catalogue import by_table

Output = Records | BlockWrite
DECIDED_AT_ONCE = 1_000
"""Requests and check-ins that one call decides on: some ten ms. Where many monitors are made in one minute, each asks
for a rule, and the next minute would decide on all of them in one go. If twice as many check-ins as have come is more,
then so many: what waits must become less."""


class Sample(KeyGroup[Chunk, Output]):
    """One key group of organizations and their rules."""

    CODEC = SNAPSHOTS

    def __init__(
        self,
        base_rate: float,
        is_at_end: Callable[[], bool],
        snapshot: bytes | None,
        store: BlockStore | None = None,
    ) -> None:
        """`is_at_end` is asked when the input has ended: False if the flow was only asked to stop. `store`: where
        blocks of snapshots can be kept; None: nowhere."""
        self._is_at_end = is_at_end
        self._group = 0
        state = restored(self.CODEC, snapshot) or SampleState()
        self.rules = Sampler(base_rate, payload_of, SamplerState(state.minute, state.rules, state.waiting))
        self._saved = SavedWaiting(self.rules, store)
        self.rules.restore(self._saved.restore(state))

    def state(self) -> SampleState:
        """What a snapshot holds."""
        state, saved = self.rules.state(), self._saved.saved()
        return SampleState(state.minute, state.rules, [], saved.blocks, saved.names)

    def apply(self, chunks: list[Chunk]) -> list[Output]:
        """Take in what might matter; decide on what the watermark has passed."""
        self._group = chunks[0].target
        rules = self.rules
        offered = sum(rules.take_all(chunk.items) for chunk in chunks)
        at_most = max(DECIDED_AT_ONCE, 2 * offered)
        return self._outputs(rules.advance(max(chunk.clock_minute for chunk in chunks), at_most))

    def go_on(self) -> list[Output]:
        """Decide on another piece of what is left."""
        return self._outputs(self.rules.advance(NO_MINUTE, DECIDED_AT_ONCE))

    def notify_at(self) -> datetime | None:
        """The engine's call: at once, while something is left to be decided on."""
        return datetime.now(UTC) if self.rules.is_behind else None

    def on_eof(self) -> tuple[list[Output], bool]:
        """The engine's call at the end of the input: nothing will come any more.

        When the flow was only asked to stop, something will: deciding now would be to decide without it.
        """
        return ([*self._records(self.rules.finish())] if self._is_at_end() else []), False

    def _outputs(self, decided: Decided) -> list[Output]:
        """What was decided; and a piece of the next snapshot is made ready."""
        self._saved.work()
        return [*self._records(decided), *self._saved.hand_over(f"sample/{self._group}")]

    def _records(self, decided: Decided) -> list[Records]:
        rejected = [rejection(item, errors) for item, errors in decided.rejected]
        applied = [control_row(control) for control in decided.applied]
        rows = by_table(decided.samples, rejected, applied, decided.rules)
        return [Records(self._group, rows)] if rows else []
