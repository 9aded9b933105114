"""How long outages last, whatever came: the views against a naive model that keeps every run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.builders import HOURLY, check_in, pulse
from tests.examples import examples
from tests.flow.asked import Asked, moment, second
from tests.flow.memory import run
from tests.flow.test_order_of_runs import jobs, modelled

some = settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
FIVE = {"schedule": {"type": "interval", "value": 5, "unit": "minute"}, "max_runtime": 5}


def rows(asked: Asked, query: str) -> list[tuple[Any, ...]]:
    return asked.connection.execute(query).fetchall()


@some
@given(jobs())
def test_an_outage_lasts_until_the_resolving_run_began_and_never_ends_before_it_begins(job):
    model, lines = job
    asked = Asked(run(lines, rate_limit=1000))
    naive = modelled(model, lines)
    assert naive.clock is not None
    clock = moment(naive.clock * 1_000_000)
    incidents = [
        (moment(each["start"] * 1_000_000), None if each["end"] is None else moment(each["end"] * 1_000_000))
        for each in naive.outcome().incidents
    ]
    lasted = sorted(max(timedelta(), (end or clock) - start) for start, end in incidents)
    assert [row for (row,) in rows(asked, "SELECT lasted FROM incident_durations ORDER BY lasted")] == lasted
    over = [end - start for start, end in incidents if end is not None]
    found = rows(asked, "SELECT sum(resolved), sum(resolved * epoch_us(mttr)) FROM mttr")
    if over:
        ((count, total),) = found
        assert count == len(over)
        assert abs(total - sum(over, timedelta()) / timedelta(microseconds=1)) <= len(over)
    begin = moment(min(0, *(run.added for run in naive.runs)) * 1_000_000)
    ((failing, ok, unknown),) = rows(
        asked, f"SELECT failing, ok, unknown FROM uptime(TIMESTAMPTZ '{begin.isoformat()}', event_clock())"
    )
    known = [(start, min(end or clock, clock)) for start, end in incidents if start < clock]
    assert failing == sum((end - start for start, end in known), timedelta())
    assert min(failing, ok, unknown) >= timedelta()
    assert failing + ok + unknown == clock - begin


@some
@given(jobs())
def test_a_timeline_resolves_no_incident_before_it_opens_it(job):
    asked = Asked(run(job[1], rate_limit=1000))
    happened = rows(
        asked,
        "SELECT incident_id, list(what) FROM (FROM timeline(1, 'm', '2025-01-01 00:00+00', '2026-01-01 00:00+00'))"
        " WHERE event = 'incident' GROUP BY incident_id",
    )
    assert all(what in (["opened"], ["opened", "resolved"]) for _, what in happened)


def test_a_time_out_that_ends_well_after_all_was_no_outage():
    lines = [
        check_in(5, status="in_progress", number=1, config=FIVE),
        pulse(300),
        check_in(330, status="ok", number=1),
        pulse(400),
    ]
    asked = Asked(run(lines))
    assert rows(asked, "SELECT is_open, lasted FROM incident_durations") == [(False, timedelta())]
    assert rows(asked, "SELECT failing FROM uptime('2025-03-03 00:00+00', event_clock())") == [(timedelta(),)]
    moments = rows(
        asked,
        "SELECT moment, what FROM timeline(1, 'm', '2025-03-03 00:00+00', '2025-03-04 00:00+00')"
        " WHERE event = 'incident'",
    )
    assert moments == [(second(5), "opened"), (second(5), "resolved")]


def test_a_miss_is_an_outage_until_the_next_run_that_ends_well_began():
    lines = [
        check_in(0, number=1, config=HOURLY),
        check_in(7500, status="in_progress", number=2),
        check_in(7800, status="ok", number=2),
        pulse(8000),
    ]
    asked = Asked(run(lines))
    assert rows(asked, "SELECT lasted FROM incident_durations") == [(timedelta(seconds=7500 - 3600),)]
