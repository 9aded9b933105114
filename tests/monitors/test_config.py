import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.config import (
    MAX_MARGIN_MINUTES,
    MAX_NUMBER,
    ConfigUpdate,
    InvalidConfig,
    MonitorConfig,
    parse_config,
)
from dataflow.monitors.schedule import LAST_MINUTE
from dataflow.monitors.times import Microseconds
from tests.examples import examples

several = settings(deadline=None, derandomize=True, max_examples=examples(300, always=True))
HOURLY = {"schedule": {"type": "crontab", "value": "0 * * * *"}}


def parse(value: Any) -> ConfigUpdate | InvalidConfig:
    return parse_config(json.dumps(value).encode())


def changes(value: Any) -> dict[str, Any]:
    parsed = parse(value)
    assert isinstance(parsed, ConfigUpdate), parsed
    return parsed.changes


def errors(value: Any) -> dict[str, list[str]]:
    parsed = parse(value)
    assert isinstance(parsed, InvalidConfig), parsed
    assert all(reasons and all(reasons) for reasons in parsed.errors.values())
    return parsed.errors


@pytest.mark.parametrize(
    ("value", "schedule_type", "schedule"),
    [
        ({"schedule": {"type": "crontab", "value": " */5  * * * * "}}, "crontab", "*/5 * * * *"),
        ({"schedule": {"type": "crontab", "value": "@Daily"}}, "crontab", "0 0 * * *"),
        ({"schedule_type": "crontab", "schedule": "0 12 * * mon-fri"}, "crontab", "0 12 * * mon-fri"),
        ({"schedule_type": "crontab", "schedule": "@hourly"}, "crontab", "0 * * * *"),
        ({"schedule": {"type": "interval", "value": 10, "unit": "minute"}}, "interval", "10 minute"),
        ({"schedule_type": "interval", "schedule": [2, "month"]}, "interval", "2 month"),
        ({"schedule_type": "interval", **HOURLY}, "crontab", "0 * * * *"),
        ({"schedule": {"type": "crontab", "value": "0 * * * *", "unit": 7}}, "crontab", "0 * * * *"),
    ],
)
def test_a_schedule_comes_in_either_form(value: Any, schedule_type: str, schedule: str) -> None:
    assert changes(value) == {"schedule_type": schedule_type, "schedule": schedule}


@pytest.mark.parametrize("unit", ["year", "month", "week", "day", "hour", "minute"])
def test_an_interval_has_one_of_six_units_and_ends_within_the_calendar(unit: str) -> None:
    for number in (1, MAX_NUMBER[unit]):
        update = parse({"schedule_type": "interval", "schedule": [number, unit]})
        assert isinstance(update, ConfigUpdate)
        asked = update.merged_into(None).timing()
        assert 0 < asked.after(Microseconds(0)) < LAST_MINUTE
    assert "schedule" in errors({"schedule_type": "interval", "schedule": [MAX_NUMBER[unit] + 1, unit]})


@pytest.mark.parametrize(
    "number", [0, -1, 1.5, True, "five", "-5", "1.0", "", None, [], 10**30, "9" * 30, 1e300]
)
def test_the_number_of_an_interval_is_a_whole_number_above_0(number: Any) -> None:
    assert list(errors({"schedule_type": "interval", "schedule": [number, "hour"]})) == ["schedule"]
    assert list(errors({"schedule": {"type": "interval", "value": number, "unit": "hour"}})) == ["schedule"]


@pytest.mark.parametrize("number", ["5", 5.0, " 5 ", "05"])
def test_the_number_of_an_interval_may_be_written_in_another_way(number: Any) -> None:
    plain = changes({"schedule_type": "interval", "schedule": [5, "hour"]})
    assert changes({"schedule_type": "interval", "schedule": [number, "hour"]}) == plain
    assert changes({"schedule": {"type": "interval", "value": number, "unit": "hour"}}) == plain


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"schedule": None},
        {"schedule": []},
        {"schedule": "0 * * * *"},
        {"schedule": {}},
        {"schedule": {"value": "0 * * * *"}},
        {"schedule": {"type": "crontab"}},
        {"schedule": {"type": "crontab", "value": None}},
        {"schedule": {"type": "crontab", "value": 5}},
        {"schedule": {"type": "crontab", "value": ["0 * * * *"]}},
        {"schedule": {"type": "cron", "value": "0 * * * *"}},
        {"schedule": {"type": ["crontab"], "value": "0 * * * *"}},
        {"schedule": {"type": 1, "value": "0 * * * *"}},
        {"schedule": {"type": "interval", "value": 5}},
        {"schedule": {"type": "interval", "value": 5, "unit": "second"}},
        {"schedule": {"type": "interval", "value": 5, "unit": "minutes"}},
        {"schedule": {"type": "interval", "value": [5, "minute"]}},
        {"schedule_type": "crontab"},
        {"schedule_type": "crontab", "schedule": None},
        {"schedule_type": "crontab", "schedule": ["0 * * * *", "minute"]},
        {"schedule_type": "crontab", "schedule": "* * 31 2 *"},
        {"schedule_type": "crontab", "schedule": "0 * * * * *"},
        {"schedule_type": "crontab", "schedule": "@reboot"},
        {"schedule_type": "interval", "schedule": 5},
        {"schedule_type": "interval", "schedule": "5 minute"},
        {"schedule_type": "interval", "schedule": [5]},
        {"schedule_type": "interval", "schedule": [5, "minute", 1]},
        {"schedule_type": "interval", "schedule": ["minute", 5]},
        {"schedule_type": "interval", "schedule": {"5": "minute"}},
        {"schedule_type": None, "schedule": "0 * * * *"},
        {"schedule_type": "weekly", "schedule": "0 * * * *"},
        {"schedule_type": 1, "schedule": "0 * * * *"},
        {"schedule_type": {}, "schedule": [5, "minute"]},
    ],
)
def test_a_config_without_a_valid_schedule_is_invalid(value: Any) -> None:
    assert list(errors(value)) == ["schedule"]


@pytest.mark.parametrize("value", [None, [], [HOURLY], "text", 5, 5.5, True])
def test_what_is_no_object_is_invalid(value: Any) -> None:
    assert list(errors(value)) == ["monitor_config"]


def test_only_what_the_text_names_is_changed() -> None:
    assert changes(HOURLY) == {"schedule_type": "crontab", "schedule": "0 * * * *"}
    assert changes({**HOURLY, "timezone": None, "max_runtime": 5}) == {
        "schedule_type": "crontab",
        "schedule": "0 * * * *",
        "timezone": None,
        "max_runtime": 5,
    }


LIMITS = [
    ("checkin_margin", 0, MAX_MARGIN_MINUTES),
    ("max_runtime", 1, 40_320),
    ("failure_issue_threshold", 1, 720),
    ("recovery_threshold", 1, 720),
]


@pytest.mark.parametrize(("name", "low", "high"), LIMITS)
def test_numbers_have_limits(name: str, low: int, high: int) -> None:
    assert changes({**HOURLY, name: high})[name] == high
    assert changes({**HOURLY, name: low + 1})[name] == low + 1
    for outside in (low - 1, high + 1, 10**40, -(10**40)):
        assert list(errors({**HOURLY, name: outside})) == [name]


@pytest.mark.parametrize("name", [name for name, _, _ in LIMITS])
@pytest.mark.parametrize("value", [True, False, 5.0, "5", "", [], {}])
def test_what_looks_like_a_number_is_none(name: str, value: Any) -> None:
    assert list(errors({**HOURLY, name: value})) == [name]


def test_a_margin_of_0_is_read_as_1() -> None:
    assert changes({**HOURLY, "checkin_margin": 0})["checkin_margin"] == 1


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Vienna", "America/Argentina/Ushuaia", "US/Eastern", "Etc/GMT+5"]
)
def test_a_time_zone_goes_by_its_iana_name(zone: str) -> None:
    assert changes({**HOURLY, "timezone": zone})["timezone"] == zone


def test_an_empty_time_zone_is_as_if_it_were_absent() -> None:
    assert changes({**HOURLY, "timezone": ""}) == changes(HOURLY)


@pytest.mark.parametrize(
    "zone",
    [
        *(
            "../x",
            "../../etc/passwd",
            "/etc/localtime",
            "Localtime",
            "localtime",
            "posixrules",
            "Europe",
            "Europe/",
        ),
        *(
            "europe/vienna",
            " UTC",
            "UTC ",
            "zone.tab",
            "zone1970.tab",
            "tzdata.zi",
            "__init__.py",
            "Europe\0",
            "+02:00",
        ),
        *(0, True, [], {}, ["UTC"]),
    ],
)
def test_what_is_no_name_of_a_time_zone_is_invalid(zone: Any) -> None:
    assert list(errors({**HOURLY, "timezone": zone})) == ["timezone"]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    wrong = {"schedule": {"type": "interval", "value": 0, "unit": "age"}, "timezone": "X", "max_runtime": 0}
    assert errors(wrong) == {
        "schedule": [
            "value: Input should be greater than 0",
            "unit: Input should be 'year', 'month', 'week', 'day', 'hour' or 'minute'",
        ],
        "timezone": ["must be the IANA name of a time zone"],
        "max_runtime": ["Input should be greater than or equal to 1"],
    }


def test_reasons_do_not_repeat_the_input() -> None:
    for value in ("secret", ["secret"], {"type": "secret"}, {"type": "crontab", "value": "secret"}):
        for config in (
            {"schedule": value},
            {"schedule_type": "secret", "schedule": value},
            {"timezone": value},
        ):
            assert "secret" not in str(errors(config))


def test_unknown_keys_are_ignored() -> None:
    assert changes({**HOURLY, "alert_rule_id": 7, "name": "x", "margin": -1}) == changes(HOURLY)


@pytest.mark.parametrize(
    "owner",
    [
        *(
            "user:1",
            "team:42",
            "user:jane",
            "team:on-call_2",
            "user:jane.doe+cron@example.co.uk",
            "team:ops@example.com",
        ),
    ],
)
def test_an_owner_is_a_user_or_a_team(owner: str) -> None:
    assert parse({**HOURLY, "owner": owner}) == ConfigUpdate(changes(HOURLY), owner)


@pytest.mark.parametrize(
    "owner",
    [
        *(
            None,
            "",
            "user:",
            "team:",
            "jane",
            "group:1",
            "User:1",
            "user: 1",
            "user:1 ",
            "user:1\n",
            "user:a b",
            "user:é",
        ),
        *("user:@example.com", "user:jane@", "user:jane@localhost", "user:a@b@c.de", "user:team:1", "#1"),
        *(1, True, [], {}, ["user:1"], "user:" + "x" * 100, "user:x@" + "y" * 400 + ".com"),
    ],
)
def test_any_other_owner_is_ignored(owner: Any) -> None:
    assert parse({**HOURLY, "owner": owner}) == ConfigUpdate(changes(HOURLY), None)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"{", b"{}x", b"\xff\xfe", b'{"schedule": "\xff"}', b"null\0", b"'{}'"),
        b'{"schedule": {"type": "interval", "value": NaN, "unit": "day"}}',
        b'{"schedule": {"type": "interval", "value": Infinity, "unit": "day"}}',
        b'{"schedule": {"type": "interval", "value": 1' + b"0" * 5000 + b', "unit": "day"}}',
        b'{"schedule": {"type": "interval", "value": 1e999, "unit": "day"}}',
        b'{"schedule": {"type": "crontab", "value": "\\ud800 * * * *"}}',
        b'{"schedule": {"type": "crontab", "value": "' + b"*/1," * 100_000 + b'1 * * * *"}}',
        b"[" * 100_000,
        b'{"schedule":' * 100_000,
        b'{"schedule_type": "interval", "schedule": [' + b"[" * 500 + b"]" * 500 + b', "day"]}',
    ],
)
def test_no_text_makes_it_raise(text: bytes) -> None:
    assert isinstance(parse_config(text), InvalidConfig)
    assert parse_config(text) == parse_config(text)


def test_of_a_key_given_twice_the_last_one_counts() -> None:
    text = b'{"schedule_type": "crontab", "schedule": "0 1 * * *", "schedule": "0 2 * * *"}'
    assert parse_config(text) == parse({"schedule_type": "crontab", "schedule": "0 2 * * *"})


def test_a_text_too_long_to_be_kept_is_read_all_the_same() -> None:
    assert parse({**HOURLY, "note": "x" * 10_000}) == parse(HOURLY)


def test_a_new_config_has_defaults_where_nothing_was_named() -> None:
    update = parse(HOURLY)
    assert isinstance(update, ConfigUpdate)
    config = update.merged_into(None)
    assert config == MonitorConfig("crontab", "0 * * * *", None, None, None, None, None)
    assert (config.margin_minutes, config.max_runtime_minutes, config.zone) == (1, 30, "UTC")
    assert (config.failure_threshold, config.recovery_count) == (1, 1)


def test_what_was_named_holds() -> None:
    config = MonitorConfig("interval", "1 day", "Europe/Vienna", 5, 60, 3, 2)
    assert (config.margin_minutes, config.max_runtime_minutes, config.zone) == (5, 60, "Europe/Vienna")
    assert (config.failure_threshold, config.recovery_count) == (3, 2)


def test_null_brings_the_default_back_and_absence_leaves_what_was() -> None:
    old = MonitorConfig("interval", "1 day", "Europe/Vienna", 5, 60, 3, 2)
    update = parse({**HOURLY, "timezone": None, "max_runtime": None, "recovery_threshold": 7})
    assert isinstance(update, ConfigUpdate)
    assert update.merged_into(old) == MonitorConfig("crontab", "0 * * * *", None, 5, None, 3, 7)
    assert old == MonitorConfig("interval", "1 day", "Europe/Vienna", 5, 60, 3, 2)


def test_a_config_is_the_same_after_a_snapshot() -> None:
    config = MonitorConfig("interval", "1 day", None, 5, None, 3, 2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(config), type=MonitorConfig) == config


thresholds = st.none() | st.integers(1, 720)
options = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from([None, "UTC", "Europe/Vienna", "Asia/Tokyo"]),
        "checkin_margin": st.none() | st.integers(1, 10**6),
        "max_runtime": st.none() | st.integers(1, 40_320),
        "failure_issue_threshold": thresholds,
        "recovery_threshold": thresholds,
    },
)


@several
@given(options, options)
def test_merging_replaces_the_named_keys_and_no_others(before: dict[str, Any], named: dict[str, Any]) -> None:
    old = MonitorConfig("interval", "3 day", **before)
    update = parse({**HOURLY, **named})
    assert isinstance(update, ConfigUpdate)
    expected = {**msgspec.structs.asdict(old), **named, "schedule_type": "crontab", "schedule": "0 * * * *"}
    assert msgspec.structs.asdict(update.merged_into(old)) == expected


@several
@given(st.binary())
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    assert isinstance(parse_config(text), ConfigUpdate | InvalidConfig)


NAMES = (
    "schedule",
    "schedule_type",
    "type",
    "value",
    "unit",
    "timezone",
    "checkin_margin",
    "max_runtime",
    "owner",
)
WORDS = ("crontab", "interval", "0 * * * *", "@daily", "minute", "day", "UTC", "user:1", "", *NAMES)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text()
keys = st.sampled_from(NAMES) | st.text(max_size=3)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=10
)


@several
@given(
    st.dictionaries(keys, values),
    st.sampled_from([{}, HOURLY, {"schedule_type": "interval", "schedule": [2, "day"]}]),
)
def test_any_object_is_refused_or_makes_a_config_with_a_schedule(
    value: dict[str, Any], valid: dict[str, Any]
) -> None:
    parsed = parse({**value, **valid})
    if isinstance(parsed, InvalidConfig):
        assert parsed.errors
    else:
        assert parsed.merged_into(None).timing().after(Microseconds(0)) > 0
