"""Controls and check-ins act in the order of their own times, however their inputs are read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.check_in import CheckIn, Control
from dataflow.monitors.event_order import FOREVER, EventOrder, OrderState, Run
from dataflow.monitors.times import NO_MINUTE, NO_TIME, Microseconds, Minute

_decode = msgspec.msgpack.Decoder(OrderState).decode


def check_in(at_us, offset, topic="a"):
    values: dict[str, Any] = {
        "organization_id": 1,
        "project_id": 1,
        "slug": "m",
        "environment": "production",
        "guid": bytes(16),
        "status": 1,
        "duration_ms": None,
        "trace_id": None,
        "config": None,
        "sdk": None,
        "start_us": Microseconds(at_us),
        "received_us": Microseconds(at_us),
        "clock_minute": NO_MINUTE,
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "source": 0,
        "payload": b"",
    }
    return CheckIn(**values)


def control(at_us, offset, topic="a"):
    return Control("reset", 1, Microseconds(at_us), NO_MINUTE, topic, 0, offset, b"")


@dataclass(frozen=True)
class Input:
    """One input: its name and origin, and its items as (time, whether it is a control)."""

    name: str
    origin: int
    times: list[tuple[int, bool]]

    @property
    def keys(self) -> list[int]:
        return list(accumulate((at for at, _ in self.times), max))

    def batch(self, start: int, stop: int, is_last: bool) -> tuple[Any, ...]:
        """The arguments of `take` for some of the items. Each item moves the clock to its own key."""
        items = [
            (control if is_control else check_in)(at, offset, self.name)
            for offset, (at, is_control) in enumerate(self.times)
        ][start:stop]
        newest = list(accumulate((at for at, _ in self.times[start:stop]), max))
        late = {item.offset: key for item, key in zip(items, newest, strict=True) if item.received_us < key}
        controls = [place for place, item in enumerate(items) if isinstance(item, Control)]
        before = max((at for at, _ in self.times[:start]), default=-1)
        marks = []
        for key in newest:
            if key > before and self.origin >= 0:
                marks.append((Microseconds(key), Minute(key)))
                before = key
        newest_us = newest[-1] if newest else NO_TIME
        read_us = FOREVER if is_last else newest_us
        return self.origin, items, controls, late, marks, newest_us, read_us


@st.composite
def mixed_inputs(draw: st.DrawFn) -> list[Input]:
    """Inputs any of which may hold controls, as files do. Times repeat, and some are late."""
    times = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([False, False, True])), max_size=8)
    return [Input(f"i{n}", n, draw(times)) for n in range(draw(st.integers(1, 4)))]


@st.composite
def separate_inputs(draw: st.DrawFn) -> list[Input]:
    """Inputs of check-ins and inputs of controls, as topics are."""
    times = st.lists(st.integers(0, 12), max_size=8)
    check_ins = [
        Input(f"c{n}", n, [(at, False) for at in draw(times)]) for n in range(draw(st.integers(1, 3)))
    ]
    controls = [
        Input(f"k{n}", -1 - n, [(at, True) for at in draw(times)]) for n in range(draw(st.integers(1, 2)))
    ]
    return check_ins + controls


def order_of(inputs, slack_us=0, state=None):
    names = [each.name for each in inputs if each.origin >= 0]
    controls = [each.name for each in inputs if each.origin < 0]
    return EventOrder(names, controls, not controls, slack_us, state)


def acted(inputs, data, slack_us=0):
    """Read the inputs in any batches and in any order, with snapshots between; the runs that came out."""
    order = order_of(inputs, slack_us)
    runs: list[Run] = []
    places = dict.fromkeys(range(len(inputs)), 0)
    while places:
        index = data.draw(st.sampled_from(sorted(places)))
        each, start = inputs[index], places[index]
        stop = min(len(each.times), start + data.draw(st.integers(1, 4)))
        order.take(*each.batch(start, stop, stop == len(each.times)))
        places[index] = stop
        if stop == len(each.times):
            del places[index]
        elif data.draw(st.integers(0, 3)):
            runs += order.release()
        if not data.draw(st.integers(0, 5)):
            order = order_of(inputs, slack_us, _decode(msgspec.msgpack.encode(order.state())))
            for each in inputs:  # an input that has ended says so again when it is read on
                if each.origin not in [inputs[at].origin for at in places]:
                    order.take(each.origin, [], [], {}, [], NO_TIME, FOREVER)
    runs += order.release()
    assert order.waiting() == 0
    return runs


def sequence(runs):
    """The items that came out, as (input, offset)."""
    return [(item.topic, item.offset) for run in runs for item in run.items]


def assert_in_order(inputs, runs, slack_us):
    by_name = {each.name: each for each in inputs}
    came = sequence(runs)
    assert sorted(came) == sorted((each.name, n) for each in inputs for n in range(len(each.times)))
    for each in inputs:
        assert [offset for name, offset in came if name == each.name] == list(range(len(each.times)))
    rank = [each.name for each in inputs]
    for at, (name, offset) in enumerate(came):
        for other, place in came[at + 1 :]:
            first, second = by_name[name], by_name[other]
            is_control = (first.times[offset][1], second.times[place][1])
            if name == other or not any(is_control):
                continue
            keys = (first.keys[offset], second.keys[place])
            if slack_us:
                assert keys[0] <= keys[1] + slack_us
            elif all(is_control):
                assert (keys[0], rank.index(name)) < (keys[1], rank.index(other))
            else:
                assert keys[0] <= keys[1], came


@given(mixed_inputs() | separate_inputs(), st.data())
def test_controls_act_at_their_own_time_however_the_inputs_are_read(inputs, data):
    assert_in_order(inputs, acted(inputs, data), 0)


@given(separate_inputs(), st.data(), st.integers(1, 4))
def test_with_slack_only_items_that_are_near_may_act_in_the_order_of_their_arrival(inputs, data, slack_us):
    assert_in_order(inputs, acted(inputs, data, slack_us), slack_us)


def clocks_at_controls(inputs, runs):
    """The clocks of the other inputs whenever a control acts, and of all at the end."""
    clocks = {each.origin: -1 for each in inputs if each.origin >= 0}
    found = []
    for run in runs:
        for item in run.items:
            if isinstance(item, Control):
                others = {origin: clock for origin, clock in clocks.items() if origin != run.origin}
                found.append((item.topic, item.offset, others))
        if run.clock_minute != NO_MINUTE:
            assert run.clock_minute > clocks[run.origin]
            clocks[run.origin] = run.clock_minute
    return found, clocks


@given(mixed_inputs() | separate_inputs(), st.data())
def test_when_a_control_acts_the_clocks_of_the_others_stand_where_its_time_says(inputs, data):
    found, at_last = clocks_at_controls(inputs, acted(inputs, data))
    by_name = {each.name: each for each in inputs}
    for name, offset, clocks in found:
        key = by_name[name].keys[offset]
        for other in inputs:
            if other.name != name and other.origin >= 0:
                before = [each for each in other.keys if each < key]
                is_tied = any(each[1] and at == key for each, at in zip(other.times, other.keys, strict=True))
                assert clocks[other.origin] in {max(before, default=-1), key if is_tied else -1}
    assert (found, at_last) == clocks_at_controls(inputs, acted(inputs, data))
    assert at_last == {each.origin: max(each.keys, default=-1) for each in inputs if each.origin >= 0}


@given(mixed_inputs(), st.data())
def test_controls_split_the_check_ins_in_the_same_way_for_any_batches(inputs, data):
    """Between two controls the same check-ins act, whatever was read together."""

    def spans(runs):
        found: list[Any] = [set()]
        for run in runs:
            for item in run.items:
                if isinstance(item, Control):
                    found += [(item.topic, item.offset), set()]
                else:
                    found[-1].add((item.topic, item.offset))
        return found

    assert spans(acted(inputs, data)) == spans(acted(inputs, data))


def take(order, each, start, stop, is_last=False):
    order.take(*each.batch(start, stop, is_last))


def test_a_single_input_waits_for_nothing():
    only = Input("a", 0, [(5, False), (3, True), (4, False)])
    order = order_of([only])
    take(order, only, 0, 3)
    assert sequence(order.release()) == [("a", 0), ("a", 1), ("a", 2)]


def test_check_ins_wait_until_controls_are_read_past_them_and_no_longer():
    check_ins, controls = Input("c", 0, [(5, False), (9, False)]), Input("k", -1, [(7, True)])
    order = order_of([check_ins, controls])
    take(order, check_ins, 0, 2)
    assert order.release() == []
    take(order, controls, 0, 1)
    assert sequence(order.release()) == [("c", 0), ("k", 0)]
    order.take(-1, [], [], {}, [], NO_TIME, 10)
    assert sequence(order.release()) == [("c", 1)]


def test_check_ins_do_not_wait_for_other_inputs_of_check_ins():
    fast, slow, controls = Input("c", 0, [(5, False)]), Input("d", 1, []), Input("k", -1, [])
    order = order_of([fast, slow, controls])
    order.take(-1, [], [], {}, [], NO_TIME, 10)
    take(order, fast, 0, 1)
    assert sequence(order.release()) == [("c", 0)]


def test_a_control_waits_for_all_inputs_and_what_is_later_waits_after_it():
    fast = Input("c", 0, [(5, False), (8, False)])
    slow, controls = Input("d", 1, [(2, False), (7, False)]), Input("k", -1, [(6, True)])
    order = order_of([fast, slow, controls])
    take(order, controls, 0, 1, True)
    take(order, fast, 0, 2)
    assert sequence(order.release()) == [("c", 0)]
    take(order, slow, 0, 1)
    assert sequence(order.release()) == [("d", 0)]
    take(order, slow, 1, 2)
    assert sequence(order.release()) == [("k", 0), ("c", 1), ("d", 1)]


def test_the_clock_waits_with_the_items_that_it_comes_after():
    check_ins, controls = Input("c", 0, [(5, False)]), Input("k", -1, [])
    order = order_of([check_ins, controls])
    order.take(0, [], [], {}, [(Microseconds(5), Minute(1))], 5, 5)
    assert order.release() == []
    order.take(-1, [], [], {}, [], NO_TIME, 6)
    assert order.release() == [Run(0, [], Minute(1))]


@given(mixed_inputs(), st.data())
def test_where_all_may_hold_controls_check_ins_are_in_order_too(inputs, data):
    by_name = {each.name: each for each in inputs}
    came = sequence(acted(inputs, data))
    if len(inputs) > 1:
        assert came == sequence(acted(inputs, data))
        keys = [by_name[name].keys[offset] for name, offset in came]
        assert keys == sorted(keys)


def test_an_input_that_is_gone_holds_nobody_up_and_loses_nothing():
    gone, here = Input("gone", 0, [(5, False)]), Input("here", 1, [])
    order = order_of([gone, here])
    take(order, gone, 0, 1)
    state = order.state()
    left = EventOrder(["here"], [], True, 0, state)
    left.take(0, [], [], {}, [], NO_TIME, FOREVER)
    assert sequence(left.release()) == [("gone", 0)]


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_snapshot_does_not_say_that_an_input_has_ended(stop):
    first, second = Input("a", 0, [(5, False)]), Input("b", 1, [(n, True) for n in range(stop)])
    order = order_of([first, second])
    take(order, second, 0, stop, True)
    resumed = order_of([first, second], state=order.state())
    take(resumed, first, 0, 1)
    assert ("a", 0) not in sequence(resumed.release())
