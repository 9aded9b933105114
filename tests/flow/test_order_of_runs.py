"""Whether a result counts goes by when runs began: the flow against a naive model that keeps every run (SPEC, 7)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import check_in, pulse
from tests.examples import examples
from tests.flow.memory import Plan, World, run
from tests.flow.naive_model import Naive
from tests.flow.same import same_after_a_crash, same_in_any_order, same_in_batches, same_in_ticks
from tests.flow.streams import batchings

INPUT = "checkins.jsonl"
some = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
few = settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))

MODELS: list[dict[str, Any]] = [
    {"every": 5, "crontab": True, "max_runtime": 7},
    {"every": 10, "crontab": True, "max_runtime": 3, "threshold": 2},
    {"every": 5, "crontab": True, "margin": 3, "max_runtime": 12, "threshold": 2, "recovery": 2},
    {"every": 7, "crontab": False, "max_runtime": 9},
    {"every": 4, "crontab": False, "margin": 2, "max_runtime": 6, "threshold": 3, "recovery": 2},
]


def config_of(model: dict[str, Any]) -> dict[str, Any]:
    every = model["every"]
    schedule: dict[str, Any] = {"type": "interval", "value": every, "unit": "minute"}
    if model["crontab"]:
        schedule = {"type": "crontab", "value": f"*/{every} * * * *"}
    return {
        "schedule": schedule,
        "checkin_margin": model.get("margin", 1),
        "max_runtime": model["max_runtime"],
        "failure_issue_threshold": model.get("threshold", 1),
        "recovery_threshold": model.get("recovery", 1),
    }


@st.composite
def jobs(draw: st.DrawFn, slug: str = "m", size: int = 24) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A model, and lines of its monitor: runs that overlap, come late or reversed, are backdated, time out and are
    reported again."""
    model = draw(st.sampled_from(MODELS))
    config = config_of(model)
    lines = []
    at = 0
    for _ in range(draw(st.integers(1, size))):
        at += draw(st.sampled_from([0, 1, 20, 58, 60, 61, 120, 240, 300, 301, 420, 900]))
        if draw(st.integers(0, 9)) == 0:
            lines.append(pulse(at))
            continue
        late = draw(st.sampled_from([0, 0, 0, 0, 3, 65, 330, 1200]))
        body: dict[str, Any] = {}
        if draw(st.integers(0, 5)) == 0:
            body["duration"] = draw(st.sampled_from([0, 2, 90, 600]))
        status = draw(st.sampled_from(["ok", "ok", "error", "in_progress", "in_progress", "in_progress"]))
        number = draw(st.integers(1, 8)) + 1000 * sum(map(ord, slug))
        lines.append(
            check_in(
                at, slug, status, number, start_s=at - late, config=config if not lines else None, **body
            )
        )
    first = check_in(0, slug, "in_progress", 999, config=config)
    return model, [first, *lines, pulse(at + draw(st.sampled_from([0, 60, 600, 1500])))]


def modelled(model: dict[str, Any], lines: list[dict[str, Any]]) -> Naive:
    naive = Naive(**model)
    for line in lines:
        at, message = line["ts"], line["message"]
        if message["message_type"] != "check_in":
            naive.pulse(at)
            continue
        body = json.loads(message["payload"])
        naive.check_in(at, body["check_in_id"], body["status"], message["start_time"], body.get("duration"))
    return naive


def check_in_facts(world: World) -> list[Any]:
    return [
        (
            row["date_added"],
            row["status"],
            row["date_updated"],
            row["expected_time"],
            row["timeout_at"],
            row["duration_ms"],
        )
        for row in world.rows("check_ins")
    ]


def us(seconds: int | None) -> int | None:
    return seconds * 1_000_000 if seconds is not None else None


def assert_agree(world: World, naive: Naive) -> None:
    def facts(rows: Any) -> Any:
        return sorted(rows, key=repr)

    assert facts(check_in_facts(world)) == facts(
        (
            us(each.added),
            each.status,
            us(each.updated),
            us(each.expected),
            us(each.timeout_at),
            each.duration_ms,
        )
        for each in naive.runs
    )
    outcome = naive.outcome()
    (environment,) = world.rows("monitor_environments")
    assert environment["status"] == outcome.status
    assert environment["next_checkin"] == us(naive.next)
    assert environment["last_checkin"] == us(naive.last_checkin)
    incidents = [(row["starting_timestamp"], row["resolving_timestamp"]) for row in world.rows("incidents")]
    assert facts(incidents) == facts((us(each["start"]), us(each["end"])) for each in outcome.incidents)
    assert all(end is None or start <= end for start, end in incidents)
    kinds = [row["payload_type"] for row in world.rows("status_changes")]
    assert kinds.count("occurrence") == len(outcome.occurrences)
    assert kinds.count("status_change") == len(outcome.resolves)
    rejected = [row for row in world.rows("processing_errors") if "CHECKIN_FINISHED" in row["error_types"]]
    assert len(rejected) == naive.rejected


@some
@given(jobs(), batchings())
def test_the_flow_decides_as_a_model_that_keeps_every_run(job, sizes):
    model, lines = job
    assert_agree(run(lines, {INPUT: Plan(sizes)}, rate_limit=1000), modelled(model, lines))


@few
@given(jobs(), batchings())
def test_any_batching_gives_the_same(job, sizes):
    same_in_batches(job[1], sizes)


@few
@given(
    st.tuples(jobs("alpha"), jobs("beta"), jobs("gamma")), st.tuples(batchings(), batchings(), batchings())
)
def test_any_interleaving_and_number_of_workers_gives_the_same(parts, sizes):
    same_in_any_order([lines for _, lines in parts], sizes, workers=2)


@few
@given(jobs(), st.integers(0, 12))
def test_stopping_anywhere_and_resuming_gives_the_same(job, crash_at):
    same_after_a_crash(job[1], crash_at)


@few
@given(jobs(), st.integers(1, 100))
def test_ticks_one_by_one_or_all_at_once_give_the_same(job, minutes):
    same_in_ticks(job[1], minutes)
