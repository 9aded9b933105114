"""The gate's chunks in event time: what has come is given to the order, and what acts now comes back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from dataflow.monitors.check_in import NO_MINUTE, Control
from dataflow.monitors.event_order import EventOrder, Ordered, OrderState, Run
from dataflow.monitors.times import NO_TIME, Minute
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import Chunk, Reading


def order_of(inputs: Inputs, state: OrderState | None) -> EventOrder | None:
    """What puts the inputs in order; None where nothing has to wait for anything, and nothing has waited."""
    if not inputs.are_ordered and not (state is not None and state.waiting):
        return None
    return EventOrder(inputs.names, inputs.controls, inputs.any_may_hold_controls, inputs.slack_us, state)


def in_order(order: EventOrder, chunks: Iterable[Chunk]) -> list[Run]:
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
