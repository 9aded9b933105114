"""With every published snapshot all misses and time-outs up to its event clock are in the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.connectors.duckdb_sink import TablesSink
from dataflow.settings import Settings
from dataflow.steps import transition
from dataflow.steps.epoch_work import EpochWork
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.write.writer import StateWriter
from tests.builders import check_in, pulse
from tests.examples import examples
from tests.flow.memory import Plan, Stopped, World, flow_of
from tests.flow.streams import batchings, streams

MINUTELY = {"schedule": {"type": "crontab", "value": "* * * * *"}, "failure_issue_threshold": 3}
INPUT = "checkins.jsonl"
Noticed = dict[tuple[str, str], int]
"""Misses and time-outs by monitor and guid: by which tick each was noticed, in µs."""
IDLE = [0] * 20


def looked_at(data: Path) -> tuple[int | None, Noticed]:
    """The event clock of the published snapshot, in µs, and what was noticed."""
    with duckdb.connect(data / SNAPSHOT, read_only=True) as connection:
        (clock,) = connection.execute("SELECT epoch_us(event_clock) FROM snapshot_info").fetchall()[0]
        rows = connection.execute(
            "SELECT slug, check_in_id::VARCHAR, epoch_us(date_updated) FROM check_ins"
            " WHERE status IN ('missed', 'timeout', 'unknown')"
        ).fetchall()
    return clock, {(slug, guid): at for slug, guid, at in rows}


@contextmanager
def small_pieces(at_once: int, in_an_epoch: int) -> Iterator[None]:
    """A call and an epoch take only so much of what has come due."""
    before = transition.WORK_AT_ONCE, EpochWork.__init__.__defaults__
    transition.WORK_AT_ONCE, EpochWork.__init__.__defaults__ = at_once, (in_an_epoch,)
    try:
        yield
    finally:
        transition.WORK_AT_ONCE, EpochWork.__init__.__defaults__ = before


@contextmanager
def files_given_back() -> Iterator[None]:
    """What a flow that crashes meanwhile has opened is closed, as by the end of its process: a file is open once."""
    opened: list[StateWriter] = []
    make = StateWriter.__init__

    def noted(writer: StateWriter, *arguments: Any, **options: Any) -> None:
        make(writer, *arguments, **options)
        opened.append(writer)

    with patch.object(StateWriter, "__init__", noted):
        try:
            yield
        finally:
            for writer in opened:
                writer.close()


class Run:
    """The flow over lines in memory, with tables in a folder; what each snapshot said is kept."""

    def __init__(self, folder: Path, shards: int = 1, **others: Any) -> None:
        self.data = folder / "data"
        self.shown: list[tuple[int | None, Noticed]] = []
        self._settings = {
            "data_dir": self.data,
            "state_shards": shards,
            "publish_interval": 0,
            "key_groups": 8,
            **others,
        }

    def __call__(self, lines: Any, plan: Plan | None = None, recovery: RecoveryConfig | None = None) -> None:
        chosen = Settings(source="demo", **self._settings)
        flow = flow_of(
            {INPUT: lines},
            World(),
            {INPUT: plan or Plan()},
            tables=TablesSink(chosen, bounded=True),
            **self._settings,
        )
        show = Publisher.publish

        def watched(publisher: Publisher, *arguments: Any, **options: Any) -> Any:
            published = show(publisher, *arguments, **options)
            if published is not None:
                self.shown.append(looked_at(self.data))
            return published

        Publisher.publish = watched  # type: ignore[method-assign,assignment]
        try:
            with files_given_back():
                run_main(flow, recovery_config=recovery, epoch_interval=timedelta(0))
        finally:
            Publisher.publish = show  # type: ignore[method-assign]

    def check(self) -> None:
        """Every snapshot holds what the last one holds of the time up to its event clock."""
        _, whole = self.shown[-1]
        for clock, noticed in self.shown:
            due = {key for key, at in whole.items() if clock is not None and at <= clock}
            assert due <= noticed.keys()


def silence(monitors: int, hours: float) -> list[Any]:
    """Jobs that run once, a silence, and one of them that comes back."""
    begin = [check_in(n / 10, f"m{n}", number=n + 1, config=MINUTELY) for n in range(monitors)]
    return [*begin, check_in(hours * 3600, "m0", number=1_000), pulse(hours * 3600 + 120)]


@pytest.fixture(autouse=True)
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.connectors.duckdb_sink._show_summary", lambda data_dir: None)


@pytest.mark.parametrize(("shards", "judges"), [(1, False), (1, True), (2, False)])
def test_the_clock_of_a_snapshot_waits_for_what_a_silence_has_left(
    tmp_path: Path, shards: int, judges: bool
) -> None:
    run, lines = Run(tmp_path, shards, volume_anomalies=judges), silence(6, 0.5)
    with small_pieces(5, 40):
        run(lines, Plan([len(lines) - 1, *IDLE]))
    run.check()
    clocks = [clock for clock, _ in run.shown if clock is not None]
    assert clocks == sorted(clocks)
    with duckdb.connect(run.data / SNAPSHOT, read_only=True) as connection:
        read, worked_off = connection.execute(
            "SELECT (SELECT min(p.clock) FROM (SELECT unnest(positions, recursive := true)) AS p), event_clock"
            " FROM snapshot_info"
        ).fetchall()[0]
    assert read == worked_off
    if shards == 1:  # several publish only with positions that have moved
        assert len(set(clocks)) > 3


def test_a_restart_in_the_middle_does_not_move_the_clock_ahead_of_the_tables(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    init_db_dir(tmp_path / "store", 1)
    recovery = RecoveryConfig(str(tmp_path / "store"))
    run, lines = Run(tmp_path, volume_anomalies=False), silence(6, 0.5)
    with small_pieces(5, 40):
        for plan in (Plan([len(lines) - 1, *IDLE], crash_at=5), Plan(IDLE, crash_at=4)):
            with pytest.raises((Stopped, RuntimeError)):
                run(lines, plan, recovery)
        run(lines, Plan(IDLE), recovery)
    run.check()
    clocks = [clock for clock, _ in run.shown if clock is not None]
    assert clocks == sorted(clocks)
    assert len(set(clocks)) > 3


@settings(deadline=None, max_examples=examples(4), suppress_health_check=list(HealthCheck))
@given(judges=st.booleans(), data=st.data())
def test_any_stream_in_small_pieces_is_shown_no_further_than_it_was_worked_off(
    judges: bool, data: st.DataObject
) -> None:
    lines = data.draw(streams(["alpha", "beta"], size=10, span_s=3_600))
    plan = Plan([*data.draw(batchings()), *[0] * data.draw(st.integers(0, 10))])
    with (
        TemporaryDirectory(prefix="cronwax-clock-") as folder,
        small_pieces(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20))),
    ):
        run = Run(Path(folder), volume_anomalies=judges)
        run(lines, plan)
        run.check()
