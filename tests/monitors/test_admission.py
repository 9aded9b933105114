"""Where what is let in goes, what is counted of it, and the rate limit."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dataflow.monitors.admission import Admission, RuleRequested
from dataflow.monitors.organization import UNLIMITED, Limits, Organization
from dataflow.monitors.rate_limit import KEPT_MINUTES, RateLimit
from dataflow.monitors.times import MINUTE_US, Microseconds, Minute
from tests.monitors.test_organization import check_in, control, types

GROUPS = {"m": 0, "other": 1}


class Gate:
    """The rules with what came of them."""

    def __init__(self, limit=6, seats=UNLIMITED, sample_new_monitors=True):
        self.limit = RateLimit(limit)
        limits = Limits(10, seats)
        self.rules = Admission(lambda _, slug: GROUPS[slug], limits, self.limit, sample_new_monitors, {})
        self.to_monitors: list[list[Any]] = [[], []]
        self.to_sampling: list[Any] = []

    def check_in(self, item):
        return types(self.rules.check_in(item, self.to_monitors, self.to_sampling))

    def control(self, item):
        return types(self.rules.control(item, self.to_monitors, self.to_sampling))


def received(minute, seconds=0, clock_minute=-1, **fields):
    at_us = Microseconds(minute * MINUTE_US + seconds * 1_000_000)
    return replace(check_in(**fields), received_us=at_us, start_us=at_us, clock_minute=Minute(clock_minute))


def test_a_check_in_goes_to_the_key_group_of_its_monitor_and_to_sampling():
    gate = Gate()
    first, second = received(5), received(5, slug="other", config=None)
    assert gate.check_in(first) == gate.check_in(second) == []
    assert gate.to_monitors == [[first], [second]]
    assert [item for item in gate.to_sampling if not isinstance(item, RuleRequested)] == [first, second]


def test_a_config_that_is_new_or_changed_calls_for_a_rule_ahead_of_its_check_in():
    gate = Gate()
    other = b'{"schedule": {"type": "interval", "value": 5, "unit": "minute"}}'
    sent = [received(5), received(6), received(7, config=other)]
    for item in sent:
        gate.check_in(item)
    kinds = [(type(item).__name__, item.received_us // MINUTE_US) for item in gate.to_sampling]
    rule, kept = "RuleRequested", "CheckIn"
    assert kinds == [(rule, 5), (kept, 5), (kept, 6), (rule, 7), (kept, 7)]


def test_no_rule_is_asked_for_where_that_is_switched_off():
    gate = Gate(sample_new_monitors=False)
    gate.check_in(received(5))
    assert len(gate.to_sampling) == 1


def test_what_is_rejected_goes_nowhere_and_is_not_counted():
    gate = Gate(limit=1)
    assert gate.check_in(received(5)) == []
    assert gate.check_in(received(5, 59)) == ["MONITOR_ENVIRONMENT_RATELIMITED"]
    assert gate.check_in(received(6)) == []
    assert len(gate.to_monitors[0]) == 2
    assert gate.rules.advance(7) == {5: 1, 6: 1}


def test_what_creates_a_monitor_without_a_seat_is_not_sampled():
    gate = Gate(seats=0)
    assert gate.check_in(received(5)) == []
    assert len(gate.to_monitors[0]) == 1
    assert gate.to_sampling == []


def test_a_check_in_out_of_order_counts_in_the_minute_that_its_partition_has_reached():
    gate = Gate()
    gate.check_in(received(5, clock_minute=8))
    assert gate.rules.advance(8) == {}
    assert gate.rules.advance(9) == {8: 1}


def test_each_environment_and_minute_has_a_limit_of_its_own():
    limit = RateLimit(1)
    assert not limit.is_exceeded_by(received(5), 5)
    assert not limit.is_exceeded_by(replace(received(5), environment="dev"), 5)
    assert not limit.is_exceeded_by(received(6), 6)
    assert limit.is_exceeded_by(received(5), 5)


def test_without_a_slug_there_is_nothing_to_limit():
    limit = RateLimit(0)
    assert not limit.is_exceeded_by(received(5, slug=""), 5)


def test_counts_are_kept_for_late_check_ins_and_survive_a_snapshot():
    limit = RateLimit(1)
    limit.is_exceeded_by(received(5), 5)
    limit.forget_before(5 + KEPT_MINUTES)
    again = RateLimit(1, limit.state())
    assert again.is_exceeded_by(received(5), 5)
    again.forget_before(6 + KEPT_MINUTES)
    assert again.state() == {}
    assert not again.is_exceeded_by(received(5), 5)


def test_a_control_that_is_rejected_goes_nowhere():
    gate = Gate()
    assert gate.control(control("mute", flag=True)) == ["INVALID_CONTROL"]
    assert gate.control(control("reset")) == ["INVALID_CONTROL"]
    assert gate.to_monitors == [[], []]


def members_of(gate):
    return [gate.rules.saved_member(key) for key in gate.rules.member_keys()]


def test_members_come_back_from_what_a_snapshot_holds():
    gate, again = Gate(seats=1), Gate(seats=1)
    gate.check_in(received(5))
    gate.check_in(received(5, slug="other"))
    (key, _) = gate.rules.take_changed()
    assert gate.rules.take_changed() == []
    assert gate.rules.saved_member(key) in members_of(gate)
    for number, organization in gate.rules.organizations.items():
        again.rules.restore(number, Organization.restore(Limits(10, 1), organization.state()))
    for member in members_of(gate):
        again.rules.restore_member(member)
    assert again.rules.count_members() == 2
    assert members_of(again) == members_of(gate)
    assert again.check_in(received(6, slug="other")) == ["MONITOR_OVER_QUOTA"]
