"""Killswitch, quota, seats and limits."""

from __future__ import annotations

import json

import msgspec
import pytest

from dataflow.monitors.check_in import CheckIn, Control, Seat
from dataflow.monitors.organization import UNLIMITED, Limits, Organization, OrganizationState
from dataflow.monitors.times import Microseconds, Minute

CONFIG = json.dumps({"schedule": {"type": "crontab", "value": "0 * * * *"}}).encode()


def check_in(slug="m", config=CONFIG, problem=None):
    return CheckIn(
        1,
        1,
        slug,
        "production",
        b"g" * 16,
        1,
        None,
        None,
        config,
        None,
        Microseconds(0),
        Microseconds(0),
        Minute(0),
        "t",
        0,
        0,
        0,
        b"",
        problem,
    )


def control(type_, slug="m", **fields):
    return Control(type_, 1, Microseconds(0), Minute(0), "t", 0, 0, b"", 1, slug, **fields)


def types(errors):
    return [str(error["type"]) for error in errors or []]


def organization(monitors=10, seats=UNLIMITED):
    return Organization(Limits(monitors, seats))


def test_the_killswitch_comes_before_all_else():
    subject = organization(monitors=0)
    subject.control(control("set_killswitch", None, flag=True))
    rejected = subject.check_in(check_in(problem=b'{"type":"CHECKIN_INVALID_GUID"}'), True)
    assert types(rejected) == ["ORGANIZATION_KILLSWITCH_ENABLED"]


def test_the_rate_limit_comes_before_the_quota():
    subject = organization(seats=0)
    subject.check_in(check_in(), False)
    assert types(subject.check_in(check_in(), True)) == ["MONITOR_ENVIRONMENT_RATELIMITED"]


def test_the_quota_comes_before_what_is_wrong_with_the_check_in():
    subject = organization(seats=0)
    subject.check_in(check_in(), False)
    wrong = check_in(problem=b'{"type":"CHECKIN_INVALID_GUID"}')
    assert types(subject.check_in(wrong, False)) == ["MONITOR_OVER_QUOTA"]


def test_a_rejected_check_in_takes_no_seat():
    subject = organization(seats=1)
    subject.check_in(check_in("wrong", problem=b'{"type":"CHECKIN_INVALID_GUID"}'), False)
    subject.check_in(check_in("unknown", config=None), False)
    subject.check_in(check_in("invalid", config=b"{}"), False)
    good = check_in("good")
    assert subject.check_in(good, False) is None
    assert good.seat == Seat.CREATE


def test_a_monitor_without_a_seat_takes_the_next_free_one():
    subject = organization(seats=1)
    first, second = check_in("first"), check_in("second")
    subject.check_in(first, False)
    subject.check_in(second, False)
    assert (first.seat, second.seat) == (Seat.CREATE, Seat.CREATE_DISABLED)
    assert types(subject.check_in(check_in("second"), False)) == ["MONITOR_OVER_QUOTA"]
    assert subject.control(control("set_monitor_status", "first", status="disabled")) is None
    back = check_in("second", config=None)
    assert subject.check_in(back, False) is None
    assert back.seat == Seat.ENABLE


def test_enabling_without_a_free_seat_is_refused():
    subject = organization(seats=1)
    subject.check_in(check_in("first"), False)
    subject.control(control("set_monitor_status", "first", status="disabled"))
    subject.check_in(check_in("second"), False)
    refused = subject.control(control("set_monitor_status", "first", status="active"))
    assert types(refused) == ["INVALID_CONTROL"]


def test_enabling_twice_takes_one_seat():
    subject = organization(seats=2)
    subject.check_in(check_in("first"), False)
    subject.control(control("set_monitor_status", "first", status="active"))
    second = check_in("second")
    subject.check_in(second, False)
    assert second.seat == Seat.CREATE


def test_seats_taken_back_by_a_control_disable_nobody():
    subject = organization(seats=2)
    subject.check_in(check_in("first"), False)
    subject.control(control("set_seats", None, seats=0))
    assert subject.check_in(check_in("first", config=None), False) is None


def test_no_monitor_beyond_the_limit_by_check_in_or_control():
    subject = organization(monitors=1)
    subject.check_in(check_in("first"), False)
    assert types(subject.check_in(check_in("second"), False)) == ["MONITOR_LIMIT_EXCEEDED"]
    assert types(subject.control(control("upsert_monitor", "second"))) == ["MONITOR_LIMIT_EXCEEDED"]
    assert subject.control(control("delete_monitor", "first")) is None
    assert subject.check_in(check_in("second"), False) is None


@pytest.mark.parametrize("type_", ["set_monitor_status", "mute", "delete_monitor"])
def test_a_control_of_an_unknown_monitor_is_invalid(type_):
    assert types(organization().control(control(type_, status="active"))) == ["INVALID_CONTROL"]


def test_deleting_one_environment_frees_no_seat():
    subject = organization(seats=1)
    subject.check_in(check_in("first"), False)
    subject.control(control("delete_monitor", "first", environment="dev"))
    second = check_in("second")
    subject.check_in(second, False)
    assert second.seat == Seat.CREATE_DISABLED


def test_a_snapshot_keeps_who_holds_a_seat():
    subject = organization(seats=1)
    subject.check_in(check_in("first"), False)
    subject.check_in(check_in("second"), False)
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(subject.state()), type=OrganizationState)
    restored = Organization.restore(Limits(10, 1), saved)
    for (project_id, slug), member in subject.members.items():
        restored.enter(project_id, slug, int(member.holder), member.config)
    assert types(restored.check_in(check_in("second"), False)) == ["MONITOR_OVER_QUOTA"]
    assert restored.check_in(check_in("first", config=None), False) is None


def configured(subject, item):
    return subject.configures(subject.members[item.project_id, item.slug], item)


def test_it_says_which_members_changed_since_it_was_asked():
    subject = organization(seats=1)
    changes = [
        (lambda: subject.check_in(check_in("a"), False), {"a"}),
        (lambda: subject.check_in(check_in("b"), False), {"b"}),  # without a seat
        (lambda: configured(subject, check_in("a")), {"a"}),
        (lambda: configured(subject, check_in("a")), set()),
        (lambda: subject.check_in(check_in("a"), False), set()),
        (lambda: subject.control(control("set_monitor_status", "a", status="disabled")), {"a"}),
        (lambda: subject.check_in(check_in("b"), False), {"b"}),  # takes the seat
        (lambda: subject.control(control("set_monitor_status", "b", status="disabled")), {"b"}),
        (lambda: subject.control(control("set_monitor_status", "a", status="active")), {"a"}),
        (lambda: subject.control(control("delete_monitor", "a")), {"a"}),
        (lambda: subject.control(control("upsert_monitor", "c")), {"c"}),
    ]
    for change, slugs in changes:
        change()
        assert {slug for _, slug in subject.take_changed()} == slugs
    assert subject.take_changed() == []
