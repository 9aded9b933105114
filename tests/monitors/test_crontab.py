import contextlib
import re
from datetime import datetime, timedelta

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.crontab import MAX_LENGTH, NICKNAMES, CalendarError, Crontab, InvalidCrontab, normalise
from tests.examples import examples

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the wall's own time
MINUTE = timedelta(minutes=1)
several = settings(deadline=None, derandomize=True, max_examples=examples(300, always=True))


def wall(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MINUTE


def following(expression: str, reference: str, count: int = 1) -> list[str]:
    crontab, found, minute = Crontab(normalise(expression)), [], wall(reference)
    for _ in range(count):
        after = crontab.after(minute)
        assert after is not None
        minute = after
        found.append((EPOCH + minute * MINUTE).isoformat(" ", "minutes"))
    return found


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("* * * * *", ["2025-03-03 10:18", "2025-03-03 10:19"]),
        ("*/15 * * * *", ["2025-03-03 10:30", "2025-03-03 10:45"]),
        ("5/20 * * * *", ["2025-03-03 10:25", "2025-03-03 10:45", "2025-03-03 11:05"]),
        ("0 9-17/4 * * *", ["2025-03-03 13:00", "2025-03-03 17:00", "2025-03-04 09:00"]),
        ("0 5-5 * * *", ["2025-03-04 05:00", "2025-03-05 05:00"]),
        ("0 5-5/3 * * *", ["2025-03-03 11:00", "2025-03-03 14:00", "2025-03-03 17:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 L * *", ["2025-03-31 00:00", "2025-04-30 00:00"]),
        ("0 0 15,L 2 *", ["2026-02-15 00:00", "2026-02-28 00:00"]),
        ("0 0 1 JAN,jul *", ["2025-07-01 00:00", "2026-01-01 00:00"]),
        ("0 0 * * 7", ["2025-03-09 00:00", "2025-03-16 00:00"]),
        ("0 0 * * 0", ["2025-03-09 00:00", "2025-03-16 00:00"]),
        ("0 0 * * 5-7", ["2025-03-07 00:00", "2025-03-08 00:00", "2025-03-09 00:00", "2025-03-14 00:00"]),
        ("0 0 * * mon-WED", ["2025-03-04 00:00", "2025-03-05 00:00", "2025-03-10 00:00"]),
        ("0 0 * * mon#2", ["2025-03-10 00:00", "2025-04-14 00:00"]),
        ("0 0 * * 5L", ["2025-03-28 00:00", "2025-04-25 00:00", "2025-05-30 00:00"]),
        ("0 0 * * 5#5", ["2025-05-30 00:00", "2025-08-29 00:00"]),
        ("0 0 * * mon,5L", ["2025-03-10 00:00", "2025-03-17 00:00", "2025-03-24 00:00", "2025-03-28 00:00"]),
        ("0 0 * * Saturday,SUN#3", ["2025-03-08 00:00", "2025-03-15 00:00", "2025-03-16 00:00"]),
        ("0 0 LW * *", ["2025-03-31 00:00", "2025-04-30 00:00", "2025-05-30 00:00", "2025-06-30 00:00"]),
        ("0 0 LW/2,15 may *", ["2025-05-15 00:00", "2025-05-30 00:00", "2026-05-15 00:00"]),
        ("0 0 1 January,july *", ["2025-07-01 00:00", "2026-01-01 00:00"]),
        ("*/99999 * * * *", ["2025-03-03 11:00", "2025-03-03 12:00"]),
    ],
)
def test_it_names_these_times(expression: str, times: list[str]) -> None:
    assert following(expression, "2025-03-03 10:17", len(times)) == times


def test_a_day_of_month_and_a_weekday_are_alternatives() -> None:
    assert following("0 0 13 * 5", "2025-06-01 00:00", 3) == [
        "2025-06-06 00:00",
        "2025-06-13 00:00",
        "2025-06-20 00:00",
    ]
    assert following("0 0 1 * 1#1", "2025-06-01 00:00", 2) == ["2025-06-02 00:00", "2025-07-01 00:00"]


def test_both_days_must_match_where_one_begins_with_a_star() -> None:
    assert following("0 0 */2 * 1", "2025-06-01 00:00", 2) == ["2025-06-09 00:00", "2025-06-23 00:00"]
    assert following("0 0 13 * */5", "2025-06-01 00:00", 2) == ["2025-06-13 00:00", "2025-07-13 00:00"]


def test_an_impossible_side_of_an_alternative_leaves_the_other() -> None:
    assert following("0 0 31 2 1", "2025-02-20 00:00", 2) == ["2025-02-24 00:00", "2026-02-02 00:00"]


def test_the_time_before_is_the_mirror_of_the_time_after() -> None:
    crontab = Crontab("*/20 * 1,15 * 3")
    minute = wall("2025-01-01 00:00")
    for _ in range(500):
        later = crontab.after(minute)
        assert later is not None
        assert crontab.after(minute) == later > minute
        assert crontab.before(later) == minute or minute == wall("2025-01-01 00:00")
        minute = later


@pytest.mark.parametrize("nickname", list(NICKNAMES))
def test_nicknames_are_stored_spelled_out(nickname: str) -> None:
    assert normalise(nickname) == normalise(f" {nickname.upper()} ") == NICKNAMES[nickname]
    assert CronSim(NICKNAMES[nickname], EPOCH)


def test_runs_of_blanks_are_stored_as_one() -> None:
    assert normalise("  */5\t*  * \n * * ") == "*/5 * * * *"


NO_CRONTABS = """
* | * * * * | * * * * * * | * * * * * * * | 0 0 1 1 * root
@noon | @reboot | @every 5m | @ | @ hourly | @hourly @daily | @hourly * * * *
60 * * * * | * 24 * * * | * * 0 * * | * * 32 * * | * * * 0 * | * * * 13 * | * * * * 8
-1 * * * * | 1- * * * * | 5-1 * * * * | */0 * * * * | 1,,2 * * * * | 1, * * * * | 1//2 * * * * | *-5 * * * *
*/-5 * * * * | 1.5 * * * * | 0x5 * * * * | +5 * * * * | ٣ * * * *
5-1/2 * * * * | ** * * * *
H * * * * | R * * * * | H/15 * * * * | R(1-5) * * * * | h h * * *
* * ? * * | * * 15W * * | * * L-3 * * | L * * * * | * * * * L | * * * * L5 | * * * * friL
* * * * 8L
* * * * 1#0 | * * * * 1#6 | * * * * #1 | * * 1#1 * * | * * * * 8#1 | * * * * 1#1/2
* * * JANUAR * | * * * * MOND | * * * MON * | * * * * JAN | JAN * * * * | * * * * sat-sun | * * * * ſun
* * 31 2 * | 0 0 30 2 * | 0 0 31 4,6,9,11 * | 0 0 30 2 */2 | 0 0 31 4 *
"""


@pytest.mark.parametrize(
    "expression",
    ["", " ", "\0 * * * *", *(text.strip() for line in NO_CRONTABS.split("\n") for text in line.split("|"))],
)
def test_what_is_no_crontab_is_refused_with_a_reason(expression: str) -> None:
    with pytest.raises(InvalidCrontab, match=r"^[a-z@D].+"):
        normalise(expression)


def test_the_longest_sensible_expression_is_accepted_and_a_longer_one_is_not() -> None:
    fields = [(0, 60), (0, 24), (1, 32), (1, 13), (0, 7)]
    everything = " ".join(",".join(map(str, range(*field))) for field in fields)
    assert normalise(everything) == everything
    with pytest.raises(InvalidCrontab, match="longer"):
        normalise("0," * (MAX_LENGTH // 2) + "0 * * * *")


def test_there_is_nothing_after_the_end_of_the_calendar() -> None:
    assert Crontab("0 0 1 1 *").after(wall("9999-06-01 00:00")) is None
    assert Crontab("* * * * *").after(wall("9999-12-31 23:59")) is None


def items(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    named = value.map(lambda number: names[number - low] if number - low < len(names) else str(number))
    single = st.one_of(value.map(str), named)
    bounds = st.tuples(value, value).map(sorted)
    step = st.integers(1, 25)
    stepped = st.tuples(bounds, step)
    return st.one_of(
        single,
        bounds.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        stepped.map(lambda pair: f"{pair[0][0]}-{pair[0][1]}/{pair[1]}"),
        st.tuples(single, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        step.map(lambda step: f"*/{step}"),
        st.just("*"),
    )


def fields(item: st.SearchStrategy[str], *others: str) -> st.SearchStrategy[str]:
    lists = st.lists(item, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists, *map(st.just, others))


MONTHS = ("jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "MON", "Tue", "wed", "thu", "fri", "sat")
expressions = st.tuples(
    fields(items(0, 59)),
    fields(items(0, 23)),
    fields(
        items(1, 31),
        "L",
        "15,L",
        "31",
        "29-31",
        "LW",
        "L/3",
        "LW/2",
        "LW,L",
        "1,LW",
        "L,LW,9-11/2",
        "*,LW",
        "31,LW",
    ),
    fields(items(1, 12, MONTHS)),
    fields(
        items(0, 7, WEEKDAYS),
        "1#1",
        "fri#5",
        "7#2",
        "1#1,3#3",
        "5L",
        "7L",
        "1#2,5L",
        "1,5L",
        "sat,SUN#3",
        "*,1#1",
        "1-3,7#2,6L",
    ),
).map(" ".join)


@several
@given(expressions, st.integers(wall("1995-01-01 00:00"), wall("2060-01-01 00:00")))
def test_it_agrees_with_cronsim(expression: str, reference: int) -> None:
    try:
        expected = next(CronSim(expression, EPOCH + reference * MINUTE))
    except (CronSimError, StopIteration):
        with pytest.raises(InvalidCrontab):
            normalise(expression)
        return
    found = Crontab(normalise(expression)).after(reference)
    assert found is not None
    assert EPOCH + found * MINUTE == expected


PIECES: tuple[str, ...] = (
    "*",
    "5",
    "7",
    "31",
    "60",
    "-1",
    "*/2",
    "5-7",
    "7-5",
    "5-5",
    "5/7",
    "1,5",
    "1-5/2",
    "*/0",
    "L",
    "LW",
    "L/2",
)
PIECES += (
    "LW/3",
    "L/0",
    "LW,L,9",
    "1,5L",
    "sat,1#3",
    "5-5/2",
    "1#01",
    "05",
    "*/100000",
    "5L",
    "L5",
    "15W",
    "1#1",
    "mon#5",
    "fri",
    "fri-sat",
    "sat-fri",
    "jan",
    "feb-mar",
    "R",
    "H",
    "H/5",
    "?",
    "@daily",
)


def is_accepted(expression: str) -> bool:
    try:
        return bool(normalise(expression))
    except InvalidCrontab:
        return False


def cronsim_accepts(expression: str) -> bool:
    try:
        return next(CronSim(expression, EPOCH)) > EPOCH
    except (CronSimError, StopIteration):
        return False


def test_it_accepts_what_cronsim_accepts() -> None:
    everywhere = [
        " ".join("*" if position != other else piece for other in range(5))
        for piece in PIECES
        for position in range(5)
    ]
    differing = [text for text in everywhere if is_accepted(text) != cronsim_accepts(text)]
    assert differing == []
    assert sum(map(is_accepted, everywhere)) > 40


MINUTES = st.integers(wall("1990-01-01 00:00"), wall("2060-01-01 00:00"))
anything = st.lists(st.sampled_from(PIECES), min_size=1, max_size=2).map(",".join)


@settings(several, max_examples=examples(600, always=True))
@given(st.tuples(*[anything] * 5).map(" ".join), MINUTES)
def test_whatever_cronsim_takes_is_taken_and_names_the_same_times(expression: str, reference: int) -> None:
    try:
        expected = next(CronSim(expression, EPOCH + reference * MINUTE))
        before = next(CronSim(expression, EPOCH + reference * MINUTE, reverse=True))
    except (CronSimError, StopIteration):
        assert not is_accepted(expression)
        return
    crontab = Crontab(normalise(expression))
    found, found_before = crontab.after(reference), crontab.before(reference)
    assert found is not None
    assert found_before is not None
    assert EPOCH + found * MINUTE == expected
    assert EPOCH + found_before * MINUTE == before


@pytest.mark.parametrize("name", ["MONDAY", "sunday", "Saturday,wednesday", "monday-friday/2", "friday#2"])
def test_weekdays_may_be_written_in_full(name: str) -> None:
    short = re.sub(r"[A-Za-z]+", lambda match: match[0][:3], name)
    assert following(f"0 0 * * {name}", "2025-03-03 00:00", 5) == following(
        f"0 0 * * {short}", "2025-03-03 00:00", 5
    )


def test_a_calendar_that_goes_backwards_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.monitors.crontab.croniter.get_next", lambda *_: 600.0)
    with pytest.raises(CalendarError, match="leap seconds"):
        Crontab("* * * * *").after(10)


@several
@given(st.text())
def test_any_text_is_refused_with_a_reason_or_read(text: str) -> None:
    with contextlib.suppress(InvalidCrontab):
        assert len(normalise(text).split(" ")) == 5
