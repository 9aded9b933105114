"""The order in which controls and check-ins act: that of their own times, however inputs are read (SPEC, section 8).

Pure: whoever reads the inputs brings what was read, in order, and how far each input has been read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from dataflow.monitors.check_in import CheckIn, Control
from dataflow.monitors.times import NO_MINUTE, NO_TIME, Microseconds, Minute

FOREVER = Microseconds(2**62)
"""How far an input has been read that has nothing more to give."""
GONE = -(2**31)
"""The origin of items that are not of one input, or of one that is not there any more."""

Ordered = CheckIn | Control
Mark = tuple[Microseconds, Minute]
"""When an input's clock moved, by the time of the message that moved it, and the minute that it came to."""


class Run(NamedTuple):
    """Items of one input that act now, in order, and the clock of the input after them."""

    origin: int
    items: list[Ordered]
    clock_minute: Minute
    """NO_MINUTE: nothing new."""


class Span(NamedTuple):
    """Items of one input between two controls, and the times by which they are ordered."""

    keys: list[Microseconds]
    items: list[Ordered]


class Stretch(msgspec.Struct, array_like=True):
    """What one read of an input brought, as far as it still waits."""

    items: list[Ordered]
    keys: list[Microseconds]
    """The times by which the items are ordered: the newest so far of their input, which never goes back."""
    controls: list[int]
    """Which of the items are controls, by their places."""
    marks: list[Mark]

    def is_before(self, bound_us: int) -> bool:
        """Whether all of it comes before a time."""
        return (not self.keys or self.keys[-1] < bound_us) and (
            not self.marks or self.marks[-1][0] < bound_us
        )

    def first_us(self) -> int:
        """The time of the first that waits here."""
        item_us = self.keys[0] if self.keys else FOREVER
        return min(item_us, self.marks[0][0]) if self.marks else item_us

    def split(self, count: int, bound_us: int) -> tuple[Span, Minute]:
        """Take the first items, and the clock as far as it came before a time."""
        span = Span(self.keys[:count], self.items[:count])
        if count:
            del self.items[:count], self.keys[:count]
            self.controls = [place - count for place in self.controls if place >= count]
        passed = bisect_left(self.marks, bound_us, key=_time_of_mark)
        minute = self.marks[passed - 1][1] if passed else NO_MINUTE
        del self.marks[:passed]
        return span, minute


class OrderState(msgspec.Struct, array_like=True):
    """What a snapshot holds, by the names of the inputs."""

    read_us: dict[str, int]
    """How far each input has been read."""
    newest_us: dict[str, int]
    """The time of the newest item that each has brought."""
    waiting: dict[str, list[Stretch]]


class EventOrder:
    """Puts controls in order with check-ins and with each other.

    An input says how far it has been read (`read_us`): nothing earlier comes from it any more. A check-in acts once
    all other inputs that may hold controls have been read past its time, a control once all other inputs have; and
    neither before what is earlier and still waits for the same reason. At the same time a control comes before the
    check-ins of other inputs, and before the controls of inputs that are named later. Within an input the order is
    the one in which it was written: an item that is late counts as of the newest time before it.

    Where any input may hold controls, all wait for all, so that check-ins are put in order with each other, too.

    - `slack_us`: being read up to so much before a time is enough. Items that are nearer to each other than this act
      in the order of their arrival.
    - What waits is bounded by how far readers are apart in event time (see `connectors.pace`).
    - The clock of an input waits together with its items.
    """

    def __init__(
        self,
        names: Sequence[str],
        control_names: Sequence[str],
        any_may_hold_controls: bool,
        slack_us: int = 0,
        state: OrderState | None = None,
    ) -> None:
        """`names`: the inputs of the event clock, by origin; `control_names`: those that hold controls only, whose
        origins are -1, -2 and so on. `any_may_hold_controls`: there may be controls in the former, too."""
        state = state or OrderState({}, {}, {})
        self._main = len(names)
        here = [*names, *control_names]
        self._names = here + [name for name in state.waiting if name not in here]
        self._origins = [*range(len(names)), *(-1 - index for index in range(len(control_names)))]
        self._origins += [GONE] * (len(self._names) - len(here))
        self._slack_us = slack_us
        self._all_wait = any_may_hold_controls and len(names) > 1
        self._holds_controls = [
            any_may_hold_controls if index < self._main else index < len(here)
            for index in range(len(self._names))
        ]
        self._read_us = [state.read_us.get(name, NO_TIME) for name in here]
        self._read_us += [FOREVER] * (len(self._names) - len(here))
        self._newest_us = [state.newest_us.get(name, NO_TIME) for name in self._names]
        self._ended: set[int] = set()
        self._queues = [deque(state.waiting.get(name, ())) for name in self._names]
        self._controls = sum(len(each.controls) for queue in self._queues for each in queue)
        """How many controls wait."""

    def take(
        self,
        origin: int,
        items: list[Ordered],
        controls: list[int],
        late: dict[int, int],
        marks: list[Mark],
        newest_us: int,
        read_us: int,
    ) -> None:
        """What was read from an input: its items in order, and which of them are controls.

        `late`: by their offsets, the times by which items are ordered that are later than their own. `newest_us`: the
        time of the newest message, also of those that are not among the items; NO_TIME: there was none. `read_us`: how
        far the input has been read; FOREVER: it has ended.
        """
        index = origin if origin >= 0 else self._main - 1 - origin
        before_us = self._newest_us[index]
        if items or marks:
            keys = [item.received_us for item in items]
            if late:
                keys = [Microseconds(late.get(item.offset, item.received_us)) for item in items]
            if keys and keys[0] < before_us:
                keys = [max(key, Microseconds(before_us)) for key in keys]
            # A stretch is used up; the marks are those of all key groups.
            self._queues[index].append(Stretch(items, keys, controls, list(marks)))
            self._controls += len(controls)
        self._newest_us[index] = max(before_us, newest_us)
        if read_us == FOREVER:
            self._ended.add(index)
        self._read_us[index] = max(self._read_us[index], read_us)

    def release(self) -> list[Run]:
        """What acts now, in order."""
        runs: list[Run] = []
        before_any = _Bounds(self._read_us, self._slack_us)
        before_controls = _Bounds(
            [
                read_us if holds else FOREVER
                for read_us, holds in zip(self._read_us, self._holds_controls, strict=True)
            ],
            self._slack_us,
        )
        while True:
            first = self._first_control()
            spans: list[Span] = []
            clocks: list[Run] = []
            for index, queue in enumerate(self._queues):
                if queue:
                    bound_us = before_any.all_us if self._all_wait else before_controls.beside(index)
                    clock = self._release_before(first, index, bound_us, spans)
                    if clock != NO_MINUTE:
                        clocks.append(Run(self._origins[index], [], clock))
            runs += self._merged(spans)
            runs += clocks
            if first is None or not self._may_act(first, before_any):
                return runs
            runs.append(self._act(first[1]))

    def waiting(self) -> int:
        """How many items wait."""
        return sum(len(each.items) for queue in self._queues for each in queue)

    def state(self) -> OrderState:
        """What a snapshot needs. That an input has ended is not in it: it may have grown when it is read again."""
        named = list(zip(self._names, self._origins, strict=True))
        read_us = {
            name: self._newest_us[index] if index in self._ended else self._read_us[index]
            for index, (name, origin) in enumerate(named)
            if origin != GONE
        }
        newest_us = {name: self._newest_us[index] for index, (name, _) in enumerate(named)}
        waiting = {name: list(queue) for (name, _), queue in zip(named, self._queues, strict=True) if queue}
        return OrderState(read_us, newest_us, waiting)

    def _first_control(self) -> tuple[int, int] | None:
        """Time and input of the control that acts first."""
        if not self._controls:
            return None
        found = (
            (next((each.keys[each.controls[0]] for each in queue if each.controls), FOREVER), index)
            for index, queue in enumerate(self._queues)
        )
        return min(found)

    def _release_before(
        self, first: tuple[int, int] | None, index: int, bound_us: int, spans: list[Span]
    ) -> Minute:
        """Release an input's items that come before the first control, and wait for nothing; its clock after them."""
        if first is not None and first[1] != index:
            bound_us = min(bound_us, first[0])
        mark_bound_us = bound_us if first is None else min(bound_us, first[0])
        queue, clock = self._queues[index], NO_MINUTE
        while queue:
            stretch = queue[0]
            if stretch.is_before(bound_us) and not stretch.controls:
                span = Span(stretch.keys, stretch.items)
                minute = stretch.marks[-1][1] if stretch.marks else NO_MINUTE
                stretch = Stretch([], [], [], [])
            else:
                count = bisect_left(stretch.keys, bound_us)
                if stretch.controls:
                    count = min(count, stretch.controls[0])
                span, minute = stretch.split(count, mark_bound_us)
            clock = max(clock, minute)
            if span.items:
                spans.append(span)
            if stretch.items or stretch.marks:
                break
            queue.popleft()
        return clock

    def _merged(self, spans: list[Span]) -> list[Run]:
        """Items of all inputs that act now. The origin of a check-in says nothing here: its clock is in it."""
        if not self._all_wait or len(spans) == 1:
            return [Run(GONE, span.items, NO_MINUTE) for span in spans]
        keys = [key for span in spans for key in span.keys]
        items = [item for span in spans for item in span.items]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return [Run(GONE, [items[place] for place in order], NO_MINUTE)] if items else []

    def _may_act(self, first: tuple[int, int], before_any: _Bounds) -> bool:
        """Whether nothing can come any more that is earlier than a control, and nothing earlier waits."""
        key_us, own = first
        if key_us >= before_any.beside(own):
            return False
        if self._queues[own][0].controls[:1] != [0]:
            return False
        return all(
            index == own or not queue or queue[0].first_us() >= key_us
            for index, queue in enumerate(self._queues)
        )

    def _act(self, index: int) -> Run:
        queue = self._queues[index]
        span, minute = queue[0].split(1, queue[0].keys[0] + 1)
        self._controls -= 1
        if not (queue[0].items or queue[0].marks):
            queue.popleft()
        return Run(self._origins[index], span.items, minute)


class _Bounds:
    """How far all inputs beside one have been read: what is earlier than this is in order."""

    def __init__(self, read_us: Sequence[int], slack_us: int) -> None:
        least, self._at, second = FOREVER, -1, FOREVER
        for index, each in enumerate(read_us):
            if each < least:
                least, self._at, second = Microseconds(each), index, least
            elif each < second:
                second = Microseconds(each)
        self.all_us, self._second = least + slack_us, second + slack_us

    def beside(self, index: int) -> int:
        return self._second if index == self._at else self.all_us


def _time_of_mark(mark: Mark) -> int:
    return mark[0]
