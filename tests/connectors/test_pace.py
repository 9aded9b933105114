"""Readers keep together by event time."""

from __future__ import annotations

import pytest

from dataflow.connectors.pace import AHEAD_US, FILE, Pace
from dataflow.monitors.times import NO_TIME

T0 = 1_740_960_000_000_000


def pace_of(*names, controls=(), shared=None):
    pace = Pace(names, controls, shared)
    for origin in range(len(names)):
        pace.begin(origin)
    return pace


def test_who_is_too_far_ahead_waits_for_the_slowest():
    pace = pace_of("a", "b", "c")
    for origin, ahead_us in enumerate([0, AHEAD_US, AHEAD_US + 1]):
        pace.read(origin, T0 + ahead_us)
    assert [pace.may_read(origin) for origin in range(3)] == [True, True, False]
    pace.read(0, T0 + 1)
    assert pace.may_read(2)


@pytest.mark.parametrize("how", ["rests", "ended", "not begun"])
def test_who_has_nothing_to_read_holds_nobody_up(how):
    pace = pace_of("a", "b")
    if how == "rests":
        pace.read(0, T0, rests=True)
    elif how == "ended":
        pace.read(0, T0)
        pace.end(0)
    pace.read(1, T0 + 2 * AHEAD_US)
    assert pace.may_read(1)


def test_who_rested_and_reads_on_is_waited_for():
    pace = pace_of("a", "b")
    pace.read(0, T0, rests=True)
    pace.read(1, T0 + 2 * AHEAD_US)
    pace.read(0, T0 + 1)
    assert not pace.may_read(1)
    assert pace.may_read(0)


def test_each_knows_how_far_those_have_come_that_may_wait_for_it():
    pace = pace_of("a", "b", controls=["k", "l"])
    for origin in (-1, -2):
        pace.begin(origin)
    assert {pace.newest_beside(origin) for origin in (0, 1, -1, -2)} == {NO_TIME}
    pace.read(0, T0)
    pace.read(1, T0 + 5, rests=True)
    assert [pace.newest_beside(origin) for origin in (0, 1, -1, -2)] == [NO_TIME, NO_TIME, T0 + 5, T0 + 5]
    pace.read(-1, T0 + 9)
    assert [pace.newest_beside(origin) for origin in (0, 1, -1, -2)] == [T0 + 9, T0 + 9, T0 + 5, T0 + 9]


def test_processes_tell_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr("dataflow.connectors.pace.LOOK_SECONDS", 0.0)
    first, second = Pace(["a", "b"], [], tmp_path), Pace(["a", "b"], [], tmp_path)
    first.begin(0)
    second.begin(1)
    first.read(0, T0)
    second.read(1, T0 + 2 * AHEAD_US)
    assert first.may_read(0)
    assert not second.may_read(1)
    first.read(0, T0, rests=True)
    assert second.may_read(1)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_what_an_earlier_run_has_left_holds_nobody_up_once_its_reader_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr("dataflow.connectors.pace.LOOK_SECONDS", 0.0)
    before = Pace(["a", "b"], [], tmp_path)
    before.begin(0)
    before.read(0, T0)
    first, second = Pace(["a", "b"], [], tmp_path), Pace(["a", "b"], [], tmp_path)
    second.begin(1)
    second.read(1, T0 + 2 * AHEAD_US)
    assert not second.may_read(1)
    first.begin(0)
    assert second.may_read(1)


def test_a_file_that_cannot_be_written_is_said_and_nothing_ends(tmp_path, caplog):
    pace = Pace(["a", "b"], [], tmp_path / "absent")
    pace.begin(0)
    pace.read(0, T0)
    assert pace.may_read(0)
    (record,) = caplog.records
    assert "readers of other processes are not waited for" in record.getMessage()


def test_what_was_read_before_a_restart_is_known_and_holds_nobody_up():
    pace = Pace(["a", "b"], ["controls"])
    for origin, newest_us in {0: T0, 1: T0 + 10 * AHEAD_US, -1: T0 - 1}.items():
        pace.begin(origin, newest_us)
    assert pace.newest_beside(-1) == T0 + 10 * AHEAD_US
    assert pace.newest_beside(0) == T0 - 1
    assert pace.may_read(1)
    pace.read(0, T0)
    assert not pace.may_read(1)
