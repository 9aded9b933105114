"""Controls that silence and acknowledge: what they become, and what is refused at the door with which reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dataflow.monitors.check_in import NO_MINUTE, Control
from dataflow.monitors.limits import Limit
from dataflow.wire.check_ins import Place
from dataflow.wire.controls import ControlDecoder, InvalidControl

NOW_S = 1_740_960_000
"""2025-03-03T00:00:00Z"""
PLACE = Place("monitor-controls", 0, 14, NOW_S * 1_000_000, NO_MINUTE)
DAY = 86_400
ONCE: dict[str, Any] = {"type": "maintenance", "project_id": 7, "start": NOW_S, "end": NOW_S + DAY}
AGAIN: dict[str, Any] = {
    "type": "maintenance",
    "organization_id": 3,
    "start": "2025-03-09T02:00",
    "rrule": "FREQ=WEEKLY",
    "duration_minutes": 60,
    "timezone": "Europe/Vienna",
}
SNOOZE: dict[str, Any] = {"type": "snooze", "project_id": 7, "until": NOW_S + 60}
KNOWN: dict[str, Any] = {"type": "acknowledge_incident", "project_id": 7, "monitor_slug": "m", "who": "ann"}
END: dict[str, Any] = {"type": "end_silence", "project_id": 7, "silence_id": "x"}


def decoded(body: dict[str, Any], place: Place = PLACE) -> Control:
    return ControlDecoder({7: 70}).decode(json.dumps(body).encode(), place)


def silence(body: dict[str, Any]) -> Any:
    found = decoded(body).silence
    assert found is not None
    return found


def test_a_snooze_begins_when_it_is_received():
    found = silence(SNOOZE | {"monitor_slug": "The Job", "environment": ""})
    assert (found.organization_id, found.project_id, found.slug, found.environment) == (
        70,
        7,
        "the-job",
        "production",
    )
    assert (found.start_us, found.duration_us, found.misses_count) == (NOW_S * 1_000_000, 60_000_000, True)


def test_times_without_an_offset_are_on_the_clocks_of_the_zone():
    assert silence(AGAIN).start_us == (NOW_S + 6 * DAY + 3600) * 1_000_000
    assert (
        silence(ONCE | {"end": "2025-03-03T02:00", "timezone": "Europe/Vienna"}).duration_us
        == 3600 * 1_000_000
    )
    assert silence(ONCE | {"end": "2025-03-03T02:01+02:00", "start": NOW_S}).duration_us == 60_000_000


def test_one_without_a_name_is_named_after_where_it_was():
    first, again = silence(ONCE).id, silence(ONCE).id
    assert first == again
    assert len(first) == 32
    other = decoded(ONCE, Place("monitor-controls", 0, 15, NOW_S * 1_000_000, NO_MINUTE)).silence
    assert other is not None
    assert other.id != first
    assert silence(ONCE | {"silence_id": "db-2025.03"}).id == "db-2025.03"


def test_an_acknowledgement_is_about_production_unless_it_says_another():
    found = decoded(KNOWN)
    assert (found.environment, found.flag, found.who, found.note) == ("production", True, "ann", None)
    found = decoded(KNOWN | {"environment": "eu", "acknowledged": False, "note": "no"})
    assert (found.environment, found.flag, found.note) == ("eu", False, "no")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (SNOOZE | {"until": NOW_S}, "until: is past already"),
        (SNOOZE | {"until": "soon"}, "until: must be an ISO 8601 time or epoch seconds"),
        (SNOOZE | {"until": True}, "until: must be an ISO 8601 time or epoch seconds"),
        (SNOOZE | {"until": NOW_S + 2000 * DAY}, "until: must be within 1827 days"),
        (SNOOZE | {"until": "9999-12-31T23:59:59-14:00"}, "until: "),
        (SNOOZE | {"monitor_slug": "!"}, "monitor_slug"),
        (SNOOZE | {"environment": "[a]"}, "environment"),
        (SNOOZE | {"silence_id": "a b"}, "silence_id"),
        (SNOOZE | {"silence_id": "a\n"}, "silence_id"),
        (SNOOZE | {"silence_id": "x" * 65}, "silence_id"),
        (ONCE | {"end": NOW_S}, "end: must be after start"),
        (ONCE | {"start": NOW_S - 9, "end": NOW_S - 5}, "end: is past already"),
        (ONCE | {"start": NOW_S - 400 * DAY}, "start: must not be more than 366 days past"),
        (ONCE | {"start": NOW_S + 2000 * DAY, "end": NOW_S + 2001 * DAY}, "start: must be within 1827 days"),
        (ONCE | {"end": NOW_S + 1900 * DAY}, "end: must be within 1827 days"),
        (ONCE | {"end": None}, "needs start and end; or start, rrule and duration_minutes"),
        (ONCE | {"duration_minutes": 5}, "needs start and end; or start, rrule and duration_minutes"),
        (ONCE | {"rrule": "FREQ=DAILY"}, "with rrule needs duration_minutes, and no end"),
        (ONCE | {"organization_id": 3}, "needs project_id or organization_id, one of them"),
        (ONCE | {"timezone": "Vienna"}, "timezone"),
        (ONCE | {"slug": "a[bc]"}, "slug"),
        (ONCE | {"slug": "x" * (Limit.GLOB_CHARACTERS + 1)}, "slug"),
        (ONCE | {"note": "x" * (Limit.NOTE_CHARACTERS + 1)}, "note"),
        (ONCE | {"who": ""}, "who"),
        (ONCE | {"misses_count": 1}, "misses_count"),
        (AGAIN | {"rrule": "FREQ=SECONDLY"}, "rrule: FREQ must be one of HOURLY"),
        (AGAIN | {"rrule": "FREQ=HOURLY;BYSETPOS=2"}, "rrule: BYSETPOS means nothing with HOURLY"),
        (AGAIN | {"rrule": "FREQ=HOURLY"}, "rrule: has more than 2000 windows in 1827 days"),
        (
            AGAIN | {"rrule": "FREQ=DAILY;COUNT=1", "start": "2025-03-01"},
            "rrule: its last window is over already",
        ),
        (AGAIN | {"rrule": "x" * (Limit.RRULE_CHARACTERS + 1)}, "rrule"),
        (AGAIN | {"duration_minutes": Limit.WINDOW_MINUTES + 1}, "duration_minutes"),
        (AGAIN | {"duration_minutes": 0}, "duration_minutes"),
        (END | {"silence_id": ""}, "silence_id"),
        (END | {"organization_id": 1}, "needs project_id or organization_id"),
        (KNOWN | {"who": "x" * (Limit.WHO_CHARACTERS + 1)}, "who"),
        (KNOWN | {"who": None}, "who"),
        (KNOWN | {"incident_id": "abc"}, "incident_id"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_that_names_it(body, reason):
    with pytest.raises(InvalidControl) as refused:
        decoded(body)
    [error] = refused.value.errors
    assert error["type"] == "INVALID_CONTROL"
    text = error["reason"] if "reason" in error else json.dumps(error["errors"])
    assert reason in text
    assert "\n" not in text


@pytest.mark.parametrize("part", ["BYMONTHDAY=31;BYMONTH=2", "BYYEARDAY=366;BYMONTH=6", "BYSETPOS=300"])
@pytest.mark.parametrize("frequency", ["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_rule_that_never_comes_ends_the_search_too(frequency, part):
    """dateutil looks for a match to the last year that it knows."""
    with pytest.raises(InvalidControl) as refused:
        decoded(AGAIN | {"rrule": f"FREQ={frequency};{part}"})
    assert "rrule: " in str(refused.value.errors)
