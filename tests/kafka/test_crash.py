"""Processes that are killed again and again come to what an undisturbed one comes to.

A short form by default, 5 kills; with CRONWAX_TEST_FULL=1 at full length: 200,000 check-ins, 24 kills of each
deployment. CRONWAX_TEST_SEED=N takes other check-ins and other moments.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.examples import IS_FULL
from tests.kafka.check_in_stream import Feed, last_minute, stream
from tests.kafka.flow_process import GLANCE_SECONDS, Deployment
from tests.kafka.results import assert_same, result_of, sent_twice

pytestmark = pytest.mark.kafka

MONITORS, MINUTES, KILLS = (400, 1000, 24) if IS_FULL else (100, 250, 5)
SEED = int(os.environ.get("CRONWAX_TEST_SEED") or 20250303)
"""Another one gives other check-ins, and other moments of dying."""
BROKER_RESTARTS = {1, 9, 17}
"""With which kills the broker stops and starts too, before the flow dies."""
BUSY = {"batch_size": 100, "publish_interval": 0}
"""Work takes a while, and much happens in it."""
CALM = {"batch_size": 4096, "publish_interval": 5}
PACE = 20
"""So many messages come in at each glance."""
MOMENTS = (
    "in the first epoch",
    "during a publish",
    "while DuckDB writes",
    "while the sink flushes",
    "at random",
)
LIFE_SECONDS = 2.0
"""So long at most it may work before the moment is awaited."""
QUIET_SECONDS = 5.0
"""If a moment has not come so long after the last of the input, any will do."""


def watch_for(moment: str, flow: Deployment, chance: Random) -> Callable[[], bool]:
    """Says whether the moment has come, as seen from outside: the first of its kind some time after the start."""
    begun = _changed(flow.sent)
    if moment == "in the first epoch":
        return begun
    lived = _later(begun, chance.uniform(0, LIFE_SECONDS))
    if moment == "during a publish":
        return _then(lived, lambda: (flow.data / ".monitors.duckdb.unfinished").exists)
    if moment == "while DuckDB writes":
        return _then(lived, lambda: _changed(lambda: _size(flow.data / "state" / "shard-000.duckdb.wal")))
    if moment == "while the sink flushes":
        return _then(lived, lambda: _changed(flow.sent))
    return lived


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _changed(size: Callable[[], int]) -> Callable[[], bool]:
    before = size()
    return lambda: size() > before


def _then(first: Callable[[], bool], second: Callable[[], Callable[[], bool]]) -> Callable[[], bool]:
    watches: list[Callable[[], bool]] = []

    def come() -> bool:
        if not watches and first():
            watches.append(second())
        return bool(watches) and watches[0]()

    return come


def _later(begun: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    since: list[float] = []

    def come() -> bool:
        if not since and begun():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return come


class Trial:
    """A deployment that is disturbed again and again while its input comes in."""

    def __init__(self, flow: Deployment, processes: int) -> None:
        self.flow = flow
        flow.is_supervised = True
        self.processes = processes
        self._chance = Random(SEED + processes)

    def live_until(self, moment: str, feed: Feed, left: int) -> None:
        """Start, let messages come in until so many are left, and end at the moment, or some time after."""
        self.flow.start(self.processes)
        come = watch_for(moment, self.flow, self._chance)
        # A process that still waits for the broker, or for a peer, does not notice that the peer is killed.
        late = _later(lambda: feed.left <= left and self.flow.is_ready(), QUIET_SECONDS)

        def is_there() -> bool:
            feed.give(max(0, min(PACE, feed.left - left)))
            return come() or late()

        self.flow.wait_for(is_there, GLANCE_SECONDS)

    def die(self) -> None:
        """kill -9 for all processes, or for one, which the others must not outlive."""
        everyone = range(self.processes)
        self.flow.kill(*self._chance.choice([everyone, *([number] for number in everyone)]))


def test_whoever_is_killed_and_whenever_nothing_is_lost_and_nothing_done_twice(own_broker, siblings):
    check_ins = stream(SEED, MONITORS, MINUTES)
    trials = [Trial(siblings(**BUSY), processes) for processes in (1, 2)]
    undisturbed = siblings()
    feed = Feed(own_broker.bootstrap, undisturbed.settings.checkins_topic, check_ins)
    chance = Random(SEED)
    for number in range(KILLS):
        moment = MOMENTS[number] if number < len(MOMENTS) else chance.choice(MOMENTS)
        left = feed.total * (KILLS - number) // (KILLS + 1)
        for each in chance.sample(trials, 2) if IS_FULL else [trials[number % 2]]:
            each.live_until(moment, feed, left)
            if number in BROKER_RESTARTS:
                own_broker.restart()
            each.die()
            print(
                f"kill {number + 1} {moment}: {each.processes} processes, {sum(each.flow.read())} published"
            )
        feed.give(feed.left - left)
    feed.give()
    end = last_minute(check_ins)
    undisturbed.run_to(end)
    expected = result_of(undisturbed)
    assert sent_twice(expected) == []
    for each in trials:
        each.flow.run_to(end, each.processes, **CALM)
        assert_same(expected, result_of(each.flow))
