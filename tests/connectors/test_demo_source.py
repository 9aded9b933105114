import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow.connectors.demo_day import lines_of_day
from dataflow.connectors.demo_source import DEMO_PROJECTS, DemoSource, DemoState, write_day
from dataflow.connectors.jsonl_source import FileSource
from dataflow.stream.batch import SourceBatch
from dataflow.wire.timestamps import read_ts
from tests.processes import demo_data

ROOT = Path(__file__).parents[2]
START_MINUTE = 29_016_000  # 2025-03-03T00:00:00Z
DAY_MINUTES = 24 * 60


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def read(source: Any, part: str, state: DemoState | None = None) -> list[SourceBatch]:
    partition = source.build_part("input", part, state)
    out: list[SourceBatch] = []
    while True:
        try:
            (batch,) = partition.next_batch()
        except StopIteration:
            return out
        out.append(batch)


def messages(batches: list[SourceBatch]) -> list[tuple[int, int | None, bytes]]:
    return [message for batch in batches for message in batch.messages]


@pytest.fixture(scope="module")
def tables() -> duckdb.DuckDBPyConnection:
    """What the flow makes of the whole day."""
    return duckdb.connect(str(demo_data() / "monitors.duckdb"), read_only=True)


@pytest.mark.process
def test_the_day_is_the_same_in_every_process(tmp_path: Path) -> None:
    result = run_python(
        "-m", "dataflow.connectors.demo_source", "--write", str(tmp_path / "new" / "day"), PYTHONHASHSEED="1"
    )
    assert result.returncode == 0, result.stderr
    written = [Path(line).read_bytes() for line in result.stdout.splitlines()]
    assert written[:-1] == [b"".join(line + b"\n" for line in lines) for lines in lines_of_day()]
    assert json.loads(written[-1]) == {str(project): number for project, number in DEMO_PROJECTS.items()}


def test_files_of_the_day_hold_what_the_source_hands_on(tmp_path: Path) -> None:
    write_day(tmp_path)
    source, files = DemoSource(1000), FileSource(tmp_path, 1000)
    assert [name + ".jsonl" for name in source.origins] == files.origins
    for name in source.origins:
        assert messages(read(source, name)) == messages(read(files, name + ".jsonl"))


def test_each_partition_covers_the_day_minute_by_minute_in_order() -> None:
    for lines in lines_of_day():
        times = [ts for line in lines if (ts := read_ts(line)) is not None]
        assert times == sorted(times)
        assert sorted({ts // 60_000_000 for ts in times}) == list(
            range(START_MINUTE, START_MINUTE + DAY_MINUTES + 1)
        )


def test_a_monitor_is_in_one_partition() -> None:
    places: dict[tuple[int, str], set[int]] = {}
    for partition, lines in enumerate(lines_of_day()):
        for line in lines:
            if b'"check_in"' in line and read_ts(line) is not None:
                message = json.loads(line)["message"]
                slug = json.loads(message["payload"])["monitor_slug"]
                places.setdefault((message["project_id"], slug), set()).add(partition)
    assert len(places) > 280
    assert set(map(len, places.values())) == {1}


def test_batches_follow_each_other_and_only_the_last_has_ended() -> None:
    batches = read(DemoSource(1000), "demo-2")
    assert [batch.ended for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert [batch.clock_before for batch in batches[1:]] == [batch.clock_after for batch in batches[:-1]]
    assert [number for number, _, _ in messages(batches)] == list(range(1, batches[-1].position))
    assert batches[-1].clock_after == START_MINUTE + DAY_MINUTES


def test_the_clock_stays_behind_by_its_delay() -> None:
    batches = read(DemoSource(1000, clock_delay_us=5_000_000), "demo-2")
    assert batches[-1].clock_after == START_MINUTE + DAY_MINUTES - 1


def test_a_resumed_run_goes_on_where_the_last_one_stopped() -> None:
    source = DemoSource(700)
    first = source.build_part("input", "demo-1", None)
    begun = [*first.next_batch(), *first.next_batch()]
    assert begun + read(source, "demo-1", first.snapshot()) == read(source, "demo-1")


def test_a_resumed_run_that_finds_nothing_new_says_once_that_it_has_ended() -> None:
    source = DemoSource(100_000)
    partition = source.build_part("input", "demo-0", None)
    partition.next_batch()
    (batch,) = read(source, "demo-0", partition.snapshot())
    assert (batch.messages, batch.ended, batch.clock_after) == ([], True, START_MINUTE + DAY_MINUTES)


def test_when_the_flow_stops_nothing_claims_to_have_ended() -> None:
    partition = DemoSource(10, stopping=lambda: True).build_part("input", "demo-0", None)
    with pytest.raises(StopIteration):
        partition.next_batch()


@pytest.mark.process
def test_most_runs_go_well(tables: duckdb.DuckDBPyConnection) -> None:
    counts = dict(tables.execute("SELECT status, count(*) FROM check_ins GROUP BY ALL").fetchall())
    assert counts["ok"] > 0.95 * sum(counts.values())
    assert min(counts["error"], counts["missed"], counts["timeout"]) >= 10


@pytest.mark.process
def test_some_incidents_open_and_most_are_resolved(tables: duckdb.DuckDBPyConnection) -> None:
    found = tables.execute("SELECT count(*), count(resolving_timestamp) FROM incidents").fetchall()
    (opened, resolved), *_ = found
    assert 30 <= opened <= 60
    assert 0.9 * opened < resolved < opened


@pytest.mark.process
def test_what_goes_wrong_with_messages_is_shown_too(tables: duckdb.DuckDBPyConnection) -> None:
    rows = tables.execute("SELECT unnest(error_types) FROM processing_errors").fetchall()
    kinds = Counter(kind for (kind,) in rows)
    assert kinds >= Counter(
        [
            "CHECKIN_FINISHED",
            "CHECKIN_INVALID_GUID",
            "CHECKIN_VALIDATION_FAILED",
            "INVALID_CONTROL",
            "MALFORMED_MESSAGE",
            "MONITOR_DISABLED",
            "MONITOR_ENVIRONMENT_RATELIMITED",
            "MONITOR_INVALID_CONFIG",
            "MONITOR_INVALID_ENVIRONMENT",
            "MONITOR_NOT_FOUND",
        ]
    )
    assert sum(kinds.values()) < 100


@pytest.mark.process
def test_all_three_organizations_have_monitors(tables: duckdb.DuckDBPyConnection) -> None:
    rows = tables.execute(
        "SELECT organization_id, count(*) FROM monitors GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert [organization for organization, _ in rows] == [1, 2, 3]
    assert all(count > 50 for _, count in rows)
