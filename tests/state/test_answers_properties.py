"""The views, against a plain computation in Python over random histories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from statistics import mean, quantiles

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.state.answer_rows import World, at, minutes

WEEK = 7 * 24 * 60
NOW = 6 * WEEK
FAILING = ("error", "missed", "timeout")
MICROSECOND = timedelta(microseconds=1)

steps = st.tuples(
    st.integers(min_value=1, max_value=4 * 24 * 60),
    st.sampled_from(["ok", "ok", "ok", *FAILING, "in_progress"]),
    st.integers(min_value=0, max_value=90),
    st.integers(min_value=0, max_value=10**7),
)
"""Minutes since the check-in before, its status, how many minutes late it began, duration in ms."""
histories = st.dictionaries(
    st.sampled_from(["production", "dev", "eu"]), st.lists(steps, max_size=40), min_size=1, max_size=3
)
some_settings = settings(max_examples=examples(25), deadline=None, print_blob=True)


class History:
    """What happened in one environment, in minutes; every second failure in a row opens an incident."""

    def __init__(self, of_environment: list[tuple[int, str, int, int]]) -> None:
        self.check_ins: list[tuple[int, str, int | None, int | None]] = []
        self.incidents: list[tuple[int, int | None]] = []
        failures: list[int] = []
        moment = 0
        for gap, status, late, duration in of_environment:
            moment += gap
            if moment >= NOW:
                break
            due = moment - late if self.check_ins else None
            self.check_ins.append((moment, status, due, duration if status in ("ok", "error") else None))
            if status == "ok":
                if len(failures) >= 2:
                    self.incidents[-1] = (self.incidents[-1][0], moment)
                failures = []
            elif status in FAILING:
                failures.append(moment)
                if len(failures) == 2:
                    self.incidents.append((failures[0], None))

    @property
    def is_known(self) -> bool:
        return any(status == "ok" for _, status, _, _ in self.check_ins) or bool(self.incidents)

    def state(self, moment: int) -> str:
        """What the environment is in the minute that begins at `moment`."""
        for starts, resolved in self.incidents:
            if starts <= moment and (resolved is None or moment < resolved):
                return "failing"
        return "ok" if self.is_known and self.check_ins[0][0] <= moment else "unknown"


def world_of(told: dict[str, list]) -> tuple[World, dict[str, History]]:
    world = World(NOW)
    of_environments = {name: History(told[name]) for name in sorted(told)}
    for name, history in of_environments.items():
        world.monitor(environment=name, status="ok" if history.is_known else "active", checkin_margin=1)
        for moment, status, due, duration in history.check_ins:
            due_at = None if due is None else at(due)
            world.check_in(moment, status, environment=name, expected_time=due_at, duration_ms=duration)
        for starts, resolved in history.incidents:
            world.incident(starts, resolved, environment=name)
    return world, of_environments


disabled_times = st.lists(st.integers(min_value=0, max_value=NOW), unique=True, max_size=9).map(sorted)
"""When the monitor was disabled, enabled again, disabled, ..., in minutes."""


@some_settings
@given(
    histories,
    disabled_times,
    st.integers(min_value=0, max_value=NOW),
    st.integers(min_value=0, max_value=WEEK),
)
def test_uptime_is_what_a_walk_over_every_minute_finds(told, switched, starts, length):
    world, of_environments = world_of(told)
    disabled: set[int] = set()
    for number, moment in enumerate(switched):
        world.becomes("active" if number % 2 else "disabled", moment)
        if number % 2 == 0:
            disabled.update(range(moment, switched[number + 1] if number + 1 < len(switched) else NOW))
    if len(switched) % 2:
        world.rows("UPDATE monitors SET status = 'disabled'")
    expected = []
    for name, history in of_environments.items():
        counted = [moment for moment in range(starts, min(starts + length, NOW)) if moment not in disabled]
        states = [history.state(moment) for moment in counted]
        spans = [minutes(states.count(state)) for state in ("ok", "failing", "unknown")]
        ratio = spans[0] / (spans[0] + spans[1]) if spans[0] + spans[1] else None
        expected.append((name, *spans, ratio))
    columns = "environment, ok, failing, unknown, uptime"
    assert world.uptime(columns, starts, starts + length) == sorted(expected)


def mondays(rows: Sequence[tuple[int, timedelta | None]]) -> list[tuple]:
    """Numbers and means of values by the Monday of the week of their minute; None is counted, but not averaged."""
    weeks: dict[int, list[timedelta | None]] = {}
    for moment, value in rows:
        weeks.setdefault(moment // WEEK, []).append(value)
    averaged = []
    for week, values in weeks.items():
        some = [value / MICROSECOND for value in values if value is not None]
        averaged.append((at(week * WEEK).date(), len(values), mean(some) if some else None))
    return averaged


def assert_close(answered: list[tuple], expected: list[tuple]) -> None:
    """The same rows; what is averaged, in the last column, to the µs."""
    expected = sorted(expected)
    assert [row[:-1] for row in answered] == [row[:-1] for row in expected]
    for (*_, got), (*_, wanted) in zip(answered, expected, strict=True):
        assert (got is None) == (wanted is None)
        assert wanted is None or abs(got / MICROSECOND - wanted) <= 1


@some_settings
@given(histories)
def test_recovery_and_time_between_failures_are_the_means_of_each_week(told):
    world, of_environments = world_of(told)
    recovery, between = [], []
    for name, history in of_environments.items():
        resolved = [(end, minutes(end - start)) for start, end in history.incidents if end is not None]
        recovery += [(name, *row) for row in mondays(resolved)]
        ends = [None, *(end for _, end in history.incidents)]
        begun = [
            (start, None if end is None else minutes(start - end))
            for end, (start, _) in zip(ends, history.incidents, strict=False)
        ]
        between += [(name, *row) for row in mondays(begun)]
    assert_close(world.answer("environment, week, resolved, mttr", "mttr"), recovery)
    assert_close(world.answer("environment, week, failures, mtbf", "mtbf"), between)


def middle_and_high(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile, interpolated."""
    if len(values) == 1:
        return values[0], values[0]
    hundredths = quantiles(values, n=100, method="inclusive")
    return hundredths[49], hundredths[94]


@some_settings
@given(histories)
def test_run_durations_are_the_quantiles_of_the_reported_runs(told):
    world, of_environments = world_of(told)
    expected = []
    for name, history in of_environments.items():
        reported = [(moment, took) for moment, _, _, took in history.check_ins if took is not None]
        recent = [took for moment, took in reported if moment >= NOW - WEEK]
        before = [took for moment, took in reported if NOW - 5 * WEEK <= moment < NOW - WEEK]
        if recent:
            middle, high = middle_and_high(recent)
            expected.append((name, len(recent), max(recent), len(before), round(middle, 3), round(high, 3)))
    columns = "environment, runs, max_ms, runs_before, round(p50_ms, 3), round(p95_ms, 3)"
    assert world.answer(columns, "run_durations") == sorted(expected)


@some_settings
@given(histories)
def test_late_starts_are_the_quantiles_of_what_began_when_due_or_later(told):
    world, of_environments = world_of(told)
    expected = []
    for name, history in of_environments.items():
        late = [
            moment - due
            for moment, status, due, _ in history.check_ins
            if status != "missed" and due is not None and moment >= NOW - WEEK
        ]
        if late:
            middle, high = middle_and_high(late)
            figures = (round(middle, 3), round(high, 3), max(late))
            expected.append((name, len(late), sum(minute >= 1 for minute in late), *figures))
    columns = """environment, runs, late_runs, round(epoch_us(p50_late) / 6e7, 3), round(epoch_us(p95_late) / 6e7, 3),
        epoch_us(max_late) // 60000000"""
    assert world.answer(columns, "late_starts") == sorted(expected)


@some_settings
@given(histories)
def test_flapping_and_never_recovered_are_what_a_walk_over_the_incidents_finds(told):
    world, of_environments = world_of(told)
    flapping, lost = [], []
    for name, history in of_environments.items():
        recent = [(start, end) for start, end in history.incidents if start >= NOW - WEEK]
        if len(recent) >= 3:
            flapping.append((name, len(recent), minutes(sum((end or NOW) - start for start, end in recent))))
        for start, end in history.incidents:
            since = [row for row in history.check_ins if row[0] >= start]
            if end is None and not any(status == "ok" for _, status, _, _ in since):
                failures = sum(status in FAILING for _, status, _, _ in since)
                lost.append((name, minutes(NOW - start), failures))
    assert world.answer("environment, incidents, failing", "flapping") == sorted(flapping)
    assert world.answer("environment, lasted, failures", "never_recovered") == sorted(lost)
