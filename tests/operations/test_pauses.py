"""Pauses are counted by their cause, and the long ones are logged."""

import gc
import logging
import threading

import pytest
from prometheus_client import REGISTRY

from dataflow.operations import pauses


@pytest.fixture
def counted():
    """How many pauses of a cause there were since the test began, and how long they were."""

    def now(cause, kind):
        return REGISTRY.get_sample_value(f"cronwax_pause_seconds_{kind}", {"cause": cause}) or 0.0

    pauses.goes_on()  # snapshots that other tests took here are over
    causes = ("transition", pauses.EPOCH_END, pauses.COLLECTOR)
    before = {(cause, kind): now(cause, kind) for cause in causes for kind in ("count", "sum")}
    return lambda cause: tuple(now(cause, kind) - before[cause, kind] for kind in ("count", "sum"))


def test_what_is_short_is_not_counted(counted):
    pauses.paused("transition", 0.009)
    assert counted("transition") == (0, 0)
    pauses.paused("transition", 0.25)
    assert counted("transition") == (1, pytest.approx(0.25))


def test_a_long_pause_is_logged(caplog):
    with caplog.at_level(logging.INFO, "cronwax"):
        pauses.paused("transition", 0.2)
        assert not caplog.records
        pauses.paused("transition", 0.3004)
    (record,) = caplog.records
    assert (record.event, record.fields) == ("pause", {"cause": "transition", "seconds": 0.3})


def test_the_snapshots_of_an_epoch_are_one_pause_of_their_thread(counted):
    def another_worker():
        pauses.snapshot_taken(0.0, 60.0)

    pauses.goes_on()
    assert counted(pauses.EPOCH_END) == (0, 0)
    pauses.snapshot_taken(10.0, 10.1)
    thread = threading.Thread(target=another_worker)
    thread.start()
    thread.join()
    pauses.snapshot_taken(10.2, 10.5)
    pauses.goes_on()
    pauses.goes_on()
    assert counted(pauses.EPOCH_END) == (1, pytest.approx(0.5))


def test_the_collector_is_watched(counted, monkeypatch):
    callbacks = list(gc.callbacks)
    times = iter([1.0, 1.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    try:
        pauses.watch_collector()
        (called,) = (each for each in gc.callbacks if each not in callbacks)
        called("start", {})
        called("stop", {})
        monkeypatch.undo()
        assert counted(pauses.COLLECTOR) == (0, 0)  # not from within a collection
        pauses.goes_on()
    finally:
        gc.callbacks[:] = callbacks
    assert counted(pauses.COLLECTOR) == (1, pytest.approx(0.5))
