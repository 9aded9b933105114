"""The sample step decides in pieces: how many monitors are made in a minute makes no call longer."""

from __future__ import annotations

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.times import MINUTE_US
from dataflow.steps import key_group
from dataflow.steps.sample import DECIDED_AT_ONCE, Sample
from dataflow.stream.items import Chunk, Item
from tests.sampling.test_sampler import requested, sent

MONITORS = 3 * DECIDED_AT_ONCE + 1


def asked_for():
    """Many new monitors of one minute, and the clock after it."""
    requests: list[Item] = [
        RuleRequested(1, number, "m", int(MINUTE_US), "t", 0, number) for number in range(MONITORS)
    ]
    return Chunk(0, 0, requests, 2)


def rules_of(out):
    return [row.rule_id for records in out for row in records.rows.get("sampling_rules", ())]


def test_many_requests_of_one_minute_are_decided_on_in_several_calls():
    step = Sample(0.0, lambda: True, None)
    out, _ = step.on_batch([asked_for()])
    calls = 1
    while step.notify_at() is not None:
        more, is_over = step.on_notify()
        out, calls = out + more, calls + 1
        assert not is_over
    assert calls == 4
    assert rules_of(out) == list(range(1, 2_001))  # as many as an organization may have


def test_what_is_left_is_decided_on_after_a_restart():
    step = Sample(0.0, lambda: True, None)
    out, _ = step.on_batch([asked_for()])
    again = Sample(0.0, lambda: True, step.snapshot())
    assert again.notify_at() is not None
    while again.notify_at() is not None:
        out += again.on_notify()[0]
    assert rules_of(out) == list(range(1, 2_001))


def test_the_later_pieces_are_counted_among_the_pauses_too(monkeypatch):
    pieces: list[str] = []
    monkeypatch.setattr(key_group, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(key_group, "paused", lambda cause, _: pieces.append(cause))
    step = Sample(0.0, lambda: True, None)
    step.on_batch([asked_for()])
    step.on_notify()
    assert pieces == ["sample", "sample"]


def test_what_waits_becomes_less_however_many_check_ins_come():
    """Else rules that have ended, or have what they asked for, would be asked about all that comes."""
    step = Sample(0.0, lambda: True, None)
    step.on_batch([Chunk(0, 0, [requested(1)], 2)])
    for minute in range(2, 70):  # a new monitor's rule holds for an hour
        runs: list[Item] = [sent(minute, number % 200 + 1) for number in range(2 * DECIDED_AT_ONCE)]
        step.on_batch([Chunk(0, 0, runs, minute + 1)])
        assert len(step.rules.state().waiting) <= 2 * DECIDED_AT_ONCE
    assert not step.state().rules
    assert not step.rules.state().waiting
