import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.time_texts import LATEST_US, parse_time
from dataflow.wire.timestamps import read_ts

START_US = 1_740_960_000_000_000  # 2025-03-03T00:00:00Z


@pytest.mark.parametrize(
    "spelling",
    [
        '"2025-03-03T00:00:00Z"',
        '"2025-03-03T00:00:00.000000+00:00"',
        '"2025-03-03 01:00:00+01:00"',
        '"2025-03-03T00:00:00"',
        '"2025-03-03T00:00Z"',
        '"20250303T000000Z"',
        '"2025-03-03"',
        '" 2025-03-02T19:00:00-05:00 "',
        "1740960000",
        "1740960000.0",
        "1.74096e9",
    ],
)
def test_a_time_may_be_spelled_in_many_ways(spelling: str) -> None:
    assert read_ts(b'{"message": {}, "ts": %s}' % spelling.encode()) == START_US


@pytest.mark.parametrize(
    "spelling",
    [
        *(
            "null",
            "true",
            "[]",
            '""',
            '"soon"',
            "NaN",
            "Infinity",
            "1e400",
            "1e300",
            "-2e302",
            "9" * 30,
            "9" * 6000,
        ),
        *("-1", "-0.1", '"1969-12-31T23:59:59Z"', "253402300800"),
        *('"2025-03-03T25:00:00Z"', '"2025-02-30T00:00:00Z"'),
    ],
)
def test_what_is_no_time_is_none(spelling: str) -> None:
    assert read_ts(b'{"ts": %s}' % spelling.encode()) is None


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"\xff",
            b"{}",
            b"[1]",
            b'{"ts": 1740960000',
            b'{"ts": 1740960000} x',
            b'{"ts": 1, "message": nul}',
        ),
        b'{"message": ' + b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_object_with_a_time_has_none(line: bytes) -> None:
    assert read_ts(line) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, None, b"2025-03-03", [1]])
def test_values_that_are_no_time_are_none(value: object) -> None:
    assert parse_time(value) is None


def test_fractions_are_rounded_to_microseconds() -> None:
    assert parse_time(1740960000.1234567) == START_US + 123_457
    assert parse_time("2025-03-03T00:00:00.123456Z") == START_US + 123_456


def test_the_range_is_1970_to_9999() -> None:
    assert parse_time(0) == 0
    assert parse_time("9999-12-31T23:59:59.999999Z") == LATEST_US


@settings(deadline=None)
@given(st.binary(max_size=200) | st.floats().map(lambda number: repr(number).encode()))
def test_whatever_stands_there_gives_a_time_in_range_or_none(spelling: bytes) -> None:
    ts = read_ts(b'{"ts": ' + spelling + b"}")
    assert ts is None or 0 <= ts <= LATEST_US


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_means_the_same_by_the_quick_and_by_the_careful_path(moment) -> None:
    text = moment.isoformat()
    assert read_ts(b'{"ts": "%s"}' % text.encode()) == parse_time(text)
