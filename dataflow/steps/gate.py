"""Gate: what an organization lets in. Keyed by the organization's key group."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from dataflow.monitors.admission import Admission
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, Control
from dataflow.monitors.event_order import Run
from dataflow.monitors.organization import Limits, Organization
from dataflow.monitors.rate_limit import RateLimit
from dataflow.monitors.times import Minute
from dataflow.steps.control_rows import control_row
from dataflow.steps.gate_order import in_order, order_of
from dataflow.steps.gate_state import NEW, SNAPSHOTS, GateState, SavedMembers, SavedRates
from dataflow.steps.key_group import KeyGroup, restored
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.silence_rows import announced
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.stream.ends import Ends
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import BlockWrite, Chunk, Item, Message, Records, Sampled, Volumes
from dataflow.stream.key_groups import monitor_group
from dataflow.stream.watermark import Watermark
from state.schema.catalogue import by_table
from state.schema.tables.runs import ProcessingErrorRow

Output = Chunk | Records | Sampled | Volumes | Message | BlockWrite


class Gate(KeyGroup[Chunk, Output]):
    """One key group of organizations.

    Lets items through to the key groups of their monitors and to sampling, and the watermark of all partitions after
    them; how many check-ins were let in, in each minute, goes to where volumes are judged.
    """

    CODEC = SNAPSHOTS

    def __init__(
        self,
        key_groups: int,
        inputs: Inputs,
        limits: Limits,
        rate_limit: int,
        sample_new_monitors: bool,
        snapshot: bytes | None,
        clock_delay_us: int = 0,
        store: BlockStore | None = None,
    ) -> None:
        state = restored(self.CODEC, snapshot) or NEW
        self._key_groups = key_groups
        self._clock_delay_us = clock_delay_us
        self._watermark = Watermark(inputs.names, state.watermark)
        self._ends = Ends(range(-len(inputs.controls), len(inputs.names)))
        self._order = order_of(inputs, state.order)
        group_of = partial(monitor_group, groups=key_groups)
        rates = SavedRates(store)
        self.rate_limit = RateLimit(rate_limit, rates.restore(state), state.counts)
        self._rates = rates
        self.rules = Admission(group_of, limits, self.rate_limit, sample_new_monitors, dict(state.volumes))
        for organization_id, saved in state.organizations.items():
            self.rules.restore(organization_id, Organization.restore(limits, saved))
        self._members = SavedMembers(self.rules, store)
        for member in self._members.restore(state):
            self.rules.restore_member(member)

    def state(self) -> GateState:
        """What a snapshot holds."""
        rules = self.rules
        organizations = {key: each.state() for key, each in rules.organizations.items()}
        members = self._members.saved()
        return GateState(
            watermark=self._watermark.state(),
            organizations=organizations,
            counts={},
            volumes=rules.volumes(),
            members=members.blocks,
            order=self._order.state() if self._order is not None else None,
            kept=members.names,
            rates=self._rates.saved(self.rate_limit),
        )

    def apply(self, chunks: list[Chunk]) -> list[Output]:
        """Let through what may pass; reject the rest with one processing error each."""
        runs: Iterable[Run | Chunk] = chunks if self._order is None else in_order(self._order, chunks)
        to_monitors: list[list[Item]] = [[] for _ in range(self._key_groups)]
        to_sampling: list[Item] = []
        rejected: list[ProcessingErrorRow] = []
        applied: list[Control] = []
        advanced = False
        rules, watermark = self.rules, self._watermark
        for run in runs:
            for item in run.items:
                if type(item) is CheckIn:
                    errors = rules.check_in(item, to_monitors, to_sampling)
                else:
                    assert isinstance(item, Control)
                    self._note_clock(item, run.origin)
                    errors = rules.control(item, to_monitors, to_sampling)
                    if not errors and rules.is_for_organization(item):
                        applied.append(item)
                if errors:
                    rejected.append(rejection(item, errors))
            if run.clock_minute != NO_MINUTE and run.origin >= 0:
                advanced |= watermark.advance(run.origin, run.clock_minute)
        group, minute = chunks[0].target, watermark.minute if advanced else NO_MINUTE
        out: list[Output] = [Volumes(group, 0, rules.advance(minute), minute)] if advanced else []
        out += [Chunk(group, to, items, minute) for to, items in enumerate(to_monitors) if items or advanced]
        if [chunk for chunk in chunks if chunk.is_last and self._ends.take(chunk.origin)]:
            out.append(Volumes(group, 0, {}, NO_MINUTE, is_last=True))
            out += [Chunk(group, to, [], is_last=True) for to in range(self._key_groups)]
        if to_sampling or advanced:
            out.append(Sampled(group, group, to_sampling, minute))
        if rejected or applied:
            said = announced(applied)
            controls = [control_row(control) for control in applied]
            out.append(
                Records(group, by_table(controls, rejected, said.silences, said.windows, said.changes))
            )
            out += said.messages
        self._rates.work(self.rate_limit)
        self._members.work()
        out += self._members.hand_over(f"gate/{group}")
        return out + self._rates.hand_over(f"rates/{group}")

    def _note_clock(self, control: Control, origin: int) -> None:
        """Note which ticks come before a control.

        One from an input without a clock comes after the ticks that its own time has passed: by then everything that
        is earlier has been read.
        """
        if self._order is not None and origin < 0:
            control.clock_minute = (control.received_us - self._clock_delay_us) // MINUTE_US
            control.reached_minute = control.clock_minute
        else:
            slowest = Minute(self._watermark.slowest_beside(origin))
            control.reached_minute = min(control.clock_minute, slowest)
