"""Silences: their windows, what they cover, and that they hold from their announcement to their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.limits import Limit
from dataflow.monitors.silences import (
    MAINTENANCE,
    InvalidSilence,
    Silence,
    Subject,
    announce,
    silenced,
    uncounted,
    windows,
)
from dataflow.monitors.times import MINUTE_US, NO_TIME, Microseconds, Minute

HOUR_US = 60 * MINUTE_US
some_settings = settings(max_examples=300, deadline=None, print_blob=True)
SUBJECT = Subject(1, 1, "nightly", "production", "team:ops")


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def shown(found: tuple[tuple[int, int], ...], zone: str = "UTC") -> list[str]:
    place = ZoneInfo(zone)
    return [
        f"{datetime.fromtimestamp(start / 1e6, place):%m-%d %H:%M} {(end - start) // MINUTE_US}"
        for start, end in found
    ]


def maintenance(start_us: int = 0, minutes: int = 60, **fields) -> Silence:
    given = {"announced_us": 0, "misses_count": False} | fields
    return Silence(
        id=given.pop("id", "m"),
        kind=MAINTENANCE,
        organization_id=given.pop("organization_id", 1),
        start_us=Microseconds(start_us),
        duration_us=minutes * MINUTE_US,
        **given,
    )


def test_without_a_rule_there_is_one_window():
    assert windows(5, 10, None, "UTC") == ((5, 15),)


def test_a_rule_is_read_on_the_clocks_of_its_zone():
    start = us("2026-03-28T02:30:00+01:00")
    found = windows(start, HOUR_US, "FREQ=DAILY;COUNT=3", "Europe/Vienna")
    # The clocks skip 02:30 on the 29th: then it is an hour later.
    assert shown(found, "Europe/Vienna") == ["03-28 02:30 60", "03-29 03:30 60", "03-30 02:30 60"]


def test_a_rule_recurs_as_rfc_5545_says():
    start = us("2026-01-04T22:00:00+00:00")
    found = windows(start, 2 * HOUR_US, "FREQ=MONTHLY;BYDAY=1SU;UNTIL=20260405", "UTC")
    assert shown(found) == ["01-04 22:00 120", "02-01 22:00 120", "03-01 22:00 120", "04-05 22:00 120"]


def test_an_end_in_utc_is_meant_in_utc():
    start = us("2026-07-01T00:00:00+02:00")
    found = windows(start, HOUR_US, "RRULE:FREQ=DAILY;UNTIL=20260702T215959Z", "Europe/Vienna")
    assert len(found) == 2


def test_windows_that_touch_are_one():
    found = windows(0, 24 * HOUR_US, "FREQ=DAILY;COUNT=5", "UTC")
    assert found == ((0, 5 * 24 * HOUR_US),)


def test_a_rule_without_an_end_reaches_five_years_ahead():
    found = windows(0, HOUR_US, "FREQ=WEEKLY", "UTC")
    assert len(found) == Limit.SILENCE_DAYS // 7 + 1
    assert found[-1][0] <= Limit.SILENCE_DAYS * 24 * HOUR_US


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=SECONDLY", "rrule: FREQ must be one of HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=MINUTELY;COUNT=3", "rrule: FREQ must be one of"),
        ("FREQ=HOURLY", "rrule: has more than 2000 windows in 1827 days: give it an UNTIL or a COUNT"),
        ("FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,20,40", "rrule: has more than 2000 windows"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "rrule: names no time"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "rrule: names no time"),
        ("FREQ=DAILY;UNTIL=19690101", "rrule: names no time"),
        ("FREQ=DAILY;UNTIL=soon", "rrule: UNTIL must be a time"),
        ("FREQ=DAILY;INTERVAL=0", "rrule: INTERVAL must be a whole number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=99999999999", "rrule: COUNT must be a whole number"),
        ("FREQ=DAILY;BYSECOND=1", "rrule: BYSECOND is not one of"),
        ("FREQ=DAILY;BYMONTH=13", "rrule: "),
        ("FREQ=DAILY;BYDAY=XX", "rrule: must be a recurrence rule of RFC 5545"),
        ("FREQ=DAILY;BYMONTH", "rrule: must be parts NAME=VALUE"),
        ("FREQ=DAILY;FREQ=DAILY", "rrule: must be parts NAME=VALUE, each once"),
        ("every sunday", "rrule: must be parts NAME=VALUE"),
        ("", "rrule: must be parts"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_a_reason(rule, reason):
    with pytest.raises(InvalidSilence) as refused:
        windows(0, HOUR_US, rule, "UTC")
    assert str(refused.value).startswith(reason)


def test_what_is_named_must_fit_and_what_is_not_named_may_be_anything():
    assert maintenance().covers(SUBJECT)
    assert maintenance(project_id=1, slug="night*", environment="prod?ction", owner="team:*").covers(SUBJECT)
    assert not maintenance(organization_id=2).covers(SUBJECT)
    assert not maintenance(project_id=2).covers(SUBJECT)
    assert not maintenance(slug="night").covers(SUBJECT)
    assert not maintenance(environment="staging").covers(SUBJECT)
    assert not maintenance(owner="team:*").covers(SUBJECT._replace(owner=None))


def test_a_run_that_touches_a_maintenance_does_not_count():
    rule = [maintenance(10 * MINUTE_US, 10)]

    def counts(since: int, tick: int) -> bool:
        return uncounted(rule, SUBJECT, Minute(since), Minute(tick)) is None

    assert counts(5, 10)
    assert not counts(5, 11)  # due before it, and given up in it
    assert not counts(12, 13)
    assert not counts(19, 25)  # due in it, and given up after it
    assert counts(20, 25)


def test_one_that_is_announced_again_takes_the_place_of_the_first():
    known: list[Silence] = []
    announce(known, maintenance(0, 60), 0)
    announce(known, maintenance(0, 60, id="n"), 0)
    announce(known, maintenance(0, 60).ended(Microseconds(5)), 5)
    assert [(each.id, each.ended_us) for each in known] == [("n", NO_TIME), ("m", 5)]
    announce(known, maintenance(0, 60, id="o"), 61 * 24 * HOUR_US)
    assert [each.id for each in known] == ["o"]


# --- against a naive model: every moment of every window, one by one

minutes = st.integers(0, 60)


@st.composite
def some(draw) -> Silence:
    announced = draw(minutes) * MINUTE_US + draw(st.sampled_from([0, 1, 30_000_000]))
    ended = draw(st.none() | minutes)
    silence = maintenance(
        draw(minutes) * MINUTE_US + draw(st.sampled_from([0, 17_000_000])),
        draw(st.integers(1, 30)),
        id=draw(st.sampled_from("abc")),
        announced_us=announced,
        slug=draw(st.none() | st.sampled_from(["night*", "other", "n?ghtly"])),
        misses_count=draw(st.booleans()),
    )
    return silence if ended is None else silence.ended(Microseconds(ended * MINUTE_US))


def holds(silence: Silence, moment_us: int) -> bool:
    is_about = silence.slug in (None, "night*", "n?ghtly")
    is_in = silence.start_us <= moment_us < silence.start_us + silence.duration_us
    is_ended = silence.ended_us != NO_TIME and moment_us >= silence.ended_us
    return is_about and is_in and moment_us >= silence.announced_us and not is_ended


@some_settings
@given(st.lists(some(), max_size=4), st.integers(0, 100 * 60))
def test_a_moment_is_silenced_if_any_holds_then(known, second):
    moment_us = second * 1_000_000
    found = silenced(known, SUBJECT, moment_us)
    holding = [silence for silence in known if holds(silence, moment_us)]
    if found is None:
        assert holding == []
        return
    ends = {
        silence.start_us + silence.duration_us
        if silence.ended_us == NO_TIME
        else min(silence.start_us + silence.duration_us, silence.ended_us)
        for silence in holding
    }
    assert found[0] in holding
    assert found[1] == max(ends)


@some_settings
@given(st.lists(some(), max_size=4), minutes, st.integers(1, 40))
def test_a_miss_does_not_count_if_a_moment_of_its_wait_lies_in_a_maintenance(known, since, waits):
    tick = since + waits
    moments = [
        *range(since * MINUTE_US, tick * MINUTE_US, 1_000_000),
        *(silence.announced_us for silence in known),
    ]
    touching = {
        (silence.announced_us, silence.id)
        for silence in known
        if not silence.misses_count
        and any(holds(silence, each) for each in moments if since * MINUTE_US <= each < tick * MINUTE_US)
    }
    found = uncounted(known, SUBJECT, Minute(since), Minute(tick))
    assert (None if found is None else (found.announced_us, found.id)) == min(touching, default=None)


@some_settings
@given(some(), minutes, st.integers(1, 40), st.integers(0, 80 * 60))
def test_ticks_before_a_control_do_not_depend_on_it(silence, since, waits, second):
    """Whether it was applied before them or after them: so batches and partitions change nothing."""
    tick, at_us = Minute(since + waits), second * 1_000_000
    announced = msgspec.structs.replace(silence, announced_us=at_us, ended_us=NO_TIME, misses_count=False)
    ended = announced.ended(Microseconds(at_us + 600 * 1_000_000))
    if tick * MINUTE_US <= at_us:
        assert uncounted([announced], SUBJECT, Minute(since), tick) is None
    if tick * MINUTE_US <= ended.ended_us:
        before = uncounted([announced], SUBJECT, Minute(since), tick) is None
        assert before == (uncounted([ended], SUBJECT, Minute(since), tick) is None)


@some_settings
@given(
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]),
    st.integers(1, 5),
    st.integers(0, 20_000_000),
    st.integers(1, 600),
    st.sampled_from(["UTC", "Europe/Vienna", "America/St_Johns"]),
)
def test_windows_are_in_order_apart_and_begin_at_the_hour_that_was_asked_for(
    frequency, interval, start_minute, length, zone
):
    start = datetime.fromtimestamp(start_minute * 60, UTC)
    found = windows(
        start_minute * MINUTE_US, length * MINUTE_US, f"FREQ={frequency};INTERVAL={interval};COUNT=40", zone
    )
    place = ZoneInfo(zone)
    hour = start.astimezone(place).time()
    for (_, end), (later, _) in pairwise(found):
        assert end < later
    for begin, end in found:
        assert end - begin >= length * MINUTE_US
        local = datetime.fromtimestamp(begin / 1e6, UTC).astimezone(place)
        naive = local.replace(tzinfo=None)
        asked = naive.replace(hour=hour.hour, minute=hour.minute)
        # Only a time that the clocks skip is another one.
        assert local.time() == hour or abs(naive - asked) <= timedelta(hours=1)
