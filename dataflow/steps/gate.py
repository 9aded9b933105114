"""Gate: what an organization lets in. Keyed by the organization's key group."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import cast

import msgspec
from msgspec import Raw

from dataflow.monitors.admission import Admission, MemberKey, SavedMember
from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, Control
from dataflow.monitors.event_order import EventOrder, Ordered, OrderState, Run
from dataflow.monitors.organization import Limits, Organization, OrganizationState
from dataflow.monitors.rate_limit import RateLimit, SavedCounts
from dataflow.monitors.times import NO_TIME, Minute
from dataflow.steps.control_rows import control_row
from dataflow.steps.key_group import KeyGroup, restored, restored_blocks
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.stream.codecs import SnapshotCodec, block_decoder
from dataflow.stream.ends import Ends
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import Chunk, Item, Reading, Records, Sampled, Volumes
from dataflow.stream.key_groups import monitor_group
from dataflow.stream.watermark import Watermark
from state.schema.catalogue import by_table
from state.schema.tables.monitors import ControlRow
from state.schema.tables.runs import ProcessingErrorRow

BLOCK = tuple[list[MemberKey], list[SavedMember]]
_decode_block = block_decoder(BLOCK)


class GateState(msgspec.Struct, array_like=True):
    """What a snapshot of the gate holds. In version 1 the members were in their organizations."""

    watermark: tuple[int, dict[str, int]]
    organizations: dict[int, OrganizationState]
    counts: SavedCounts
    volumes: dict[int, int] = msgspec.field(default_factory=dict)
    members: list[bytes] = msgspec.field(default_factory=list)
    order: OrderState | None = None
    """None: the inputs were not put in order."""


_encode = msgspec.msgpack.encode
_NEW = GateState((NO_MINUTE, {}), {}, {})
Output = Chunk | Records | Sampled | Volumes


class Gate(KeyGroup[Chunk, Output]):
    """One key group of organizations.

    Lets items through to the key groups of their monitors and to sampling, and the watermark of all partitions after
    them; how many check-ins were let in, in each minute, goes to where volumes are judged.
    """

    CODEC = SnapshotCodec("gate", 2, GateState)

    def __init__(
        self,
        key_groups: int,
        inputs: Inputs,
        limits: Limits,
        rate_limit: int,
        sample_new_monitors: bool,
        snapshot: bytes | None,
        clock_delay_us: int = 0,
    ) -> None:
        state = restored(self.CODEC, snapshot) or _NEW
        self._key_groups = key_groups
        self._clock_delay_us = clock_delay_us
        self._watermark = Watermark(inputs.names, state.watermark)
        self._ends = Ends(range(-len(inputs.controls), len(inputs.names)))
        self._order = _order_of(inputs, state.order)
        group_of = partial(monitor_group, groups=key_groups)
        self._rate_limit = RateLimit(rate_limit, state.counts)
        self._counts: dict[int, tuple[int, Raw]] = {}
        """As the last snapshot held them, by minute: how many check-ins, and the encoded counts."""
        self._rules = Admission(group_of, limits, self._rate_limit, sample_new_monitors, dict(state.volumes))
        for organization_id, saved in state.organizations.items():
            self._rules.restore(organization_id, Organization.restore(limits, saved))
        self._members: Blocks[MemberKey] = Blocks()
        for member in restored_blocks(self.CODEC, self._members, state.members, _decode_block, _key_of):
            self._rules.restore_member(member)

    def state(self) -> GateState:
        """What a snapshot holds."""
        rules = self._rules
        members = self._members.update(
            rules.take_changed(), rules.count_members(), rules.saved_member, rules.saved_members
        )
        organizations = {key: each.state() for key, each in rules.organizations.items()}
        return GateState(
            watermark=self._watermark.state(),
            organizations=organizations,
            counts=self._saved_counts(),
            volumes=rules.volumes(),
            members=members,
            order=self._order.state() if self._order is not None else None,
        )

    def _saved_counts(self) -> SavedCounts:
        """The rate limit's counts. A minute in which nothing more has come is not encoded again: of many monitors, that
        would be most of what a snapshot costs."""
        limit, known = self._rate_limit, self._counts
        self._counts = {
            minute: known[minute]
            if minute in known and known[minute][0] == total
            else (total, Raw(_encode(limit.minute_state(minute))))
            for minute, total in limit.totals().items()
        }
        # As they are encoded: the layout is that of SavedCounts.
        return cast("SavedCounts", {minute: raw for minute, (_, raw) in self._counts.items()})

    def apply(self, chunks: list[Chunk]) -> list[Output]:
        """Let through what may pass; reject the rest with one processing error each."""
        runs: Iterable[Run | Chunk] = chunks if self._order is None else self._in_order(self._order, chunks)
        to_monitors: list[list[Item]] = [[] for _ in range(self._key_groups)]
        to_sampling: list[Item] = []
        rejected: list[ProcessingErrorRow] = []
        applied: list[ControlRow] = []
        advanced = False
        rules, watermark = self._rules, self._watermark
        for run in runs:
            for item in run.items:
                if type(item) is CheckIn:
                    errors = rules.check_in(item, to_monitors, to_sampling)
                else:
                    assert isinstance(item, Control)
                    self._note_clock(item, run.origin)
                    errors = rules.control(item, to_monitors, to_sampling)
                    if not errors and rules.is_for_organization(item):
                        applied.append(control_row(item))
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
            out.append(Records(group, by_table(applied, rejected)))
        return out

    @staticmethod
    def _in_order(order: EventOrder, chunks: list[Chunk]) -> list[Run]:
        """What acts now of all that has come."""
        for chunk in chunks:
            items = cast("list[Ordered]", chunk.items)
            reading = chunk.order
            if reading is None:  # nothing is put in order any more, but for what a snapshot holds
                controls = [place for place, item in enumerate(items) if isinstance(item, Control)]
                marks = [(NO_TIME, Minute(chunk.clock_minute))] if chunk.clock_minute != NO_MINUTE else []
                reading = Reading(controls, {}, marks, NO_TIME, NO_TIME)
            order.take(
                chunk.origin,
                items,
                reading.controls,
                reading.late,
                reading.marks,
                reading.newest_us,
                reading.read_us,
            )
        return order.release()

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


def _order_of(inputs: Inputs, state: OrderState | None) -> EventOrder | None:
    """What puts the inputs in order; None where nothing has to wait for anything, and nothing has waited."""
    if not inputs.are_ordered and not (state is not None and state.waiting):
        return None
    return EventOrder(inputs.names, inputs.controls, inputs.any_may_hold_controls, inputs.slack_us, state)


def _key_of(saved: SavedMember) -> MemberKey:
    return saved[:3]
