"""Whatever came, and whenever it is asked: each sentence of `why` says what a model that keeps every run says."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import START_S, pulse
from tests.examples import examples
from tests.flow.asked import Asked
from tests.flow.claims import Truth, check
from tests.flow.memory import run
from tests.flow.test_order_of_runs import jobs, modelled

some = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))


def _times(lines: list[dict[str, object]]) -> list[int]:
    return [line["ts"] - START_S for line in lines]  # type: ignore[operator]


@some
@given(jobs())
def test_now_each_sentence_is_true(job):
    model, lines = job
    world = run(lines, rate_limit=1000)
    naive = modelled(model, lines)
    check(Asked(world).why(), Truth(naive, _times(lines)[-1], knows_begins=True))


@some
@given(jobs(), st.data())
def test_at_any_time_each_sentence_was_true(job, data):
    model, lines = job
    lines = [_on_time(line) for line in lines]
    moments = data.draw(st.lists(st.integers(0, _times(lines)[-1]), min_size=1, max_size=4))
    lines = sorted(
        [*lines, *map(pulse, moments)], key=lambda line: line["ts"]
    )  # so that the clock has reached them
    asked = Asked(run(lines, rate_limit=1000))
    for at_s in moments:
        before = [line for line in lines if line["ts"] - START_S <= at_s]
        naive = modelled(model, before)
        is_known = not _has_heartbeats(before, lines) and not _come_together(lines, at_s)
        check(asked.at(at_s), Truth(naive, at_s, knows_begins=is_known))


def _on_time(line):
    """The line as one that came at its own time, and says of no run that it began before."""
    message = line["message"]
    if message["message_type"] != "check_in":
        return line
    body = json.loads(message["payload"])
    body.pop("duration", None)
    return line | {"message": message | {"start_time": line["ts"], "payload": json.dumps(body)}}


def _come_together(lines, at_s: int) -> bool:
    """Whether the next runs after a time came at one and the same time: rows do not say which of them was first, and so
    what was expected before it. What ends a run that had begun is no next run."""
    check_ins = [
        (line["ts"] - START_S, json.loads(line["message"]["payload"])["check_in_id"])
        for line in lines
        if line["message"]["message_type"] == "check_in"
    ]
    begun = {guid for time_s, guid in check_ins if time_s <= at_s}
    times = [time_s for time_s, guid in check_ins if time_s > at_s and guid not in begun]
    return bool(times) and times.count(min(times)) > 1


def _has_heartbeats(before, lines) -> bool:
    """Whether a run that had begun was reported to go on, before the time or after it: that leaves no trace once it has
    ended, and of one that has not, the newest report alone."""
    begun = _begun(before)
    return len([guid for guid in _begun(lines) if guid in set(begun)]) > len(set(begun))


def _begun(lines) -> list[str]:
    """The runs of which it was reported that they are in progress, once for each report."""
    check_ins = [line["message"] for line in lines if line["message"]["message_type"] == "check_in"]
    bodies = [json.loads(message["payload"]) for message in check_ins]
    return [body["check_in_id"] for body in bodies if body["status"] == "in_progress"]
