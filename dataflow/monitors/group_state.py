"""What a snapshot keeps of a key group of monitors, beside the monitors."""

from __future__ import annotations

import msgspec

from dataflow.monitors.decisions import Decisions, TickEvent
from dataflow.monitors.journal import Loss
from dataflow.monitors.times import NO_MINUTE, Minute
from dataflow.monitors.waiting import Begun, WaitingState


class GroupState(msgspec.Struct):
    """What a snapshot keeps of a group beside its monitors."""

    clock_minute: Minute = NO_MINUTE
    """The watermark of the items."""
    ticks_minute: Minute = NO_MINUTE
    """The watermark of the decisions."""
    decisions: Decisions | None = None
    """None: nothing is known yet of the ticks after `clock_minute`."""
    events: list[TickEvent] = []
    """Of ticks to come."""
    waiting: WaitingState = []
    losses: dict[Minute, Loss] = {}
    """What system incidents have cost, by their first minutes."""
    begun: Begun = []
    """Which of the items that wait have begun to be applied, and how far they have come."""
