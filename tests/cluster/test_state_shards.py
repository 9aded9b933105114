"""Several state shards: analysts see one snapshot, always complete as of one epoch."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from dataflow.wire.timestamps import read_ts
from tests.examples import IS_FULL
from tests.processes import (
    CALM,
    Outcome,
    assert_same,
    end,
    make_store,
    night,
    outcome,
    run_cluster,
    run_warm,
    signal_after_writes,
    start_cluster,
    write_jsonl,
)

KILLS = int(os.environ.get("CRONWAX_TEST_KILLS") or (8 if IS_FULL else 1))
UNJUDGED = {"volume_anomalies": False}
"""What waits for a tick to be decided is not in the tables, though its position is; at the end of an input it is."""
COMPARED = 2
"""So many of the snapshots published on the way are held against a run up to their positions."""


@pytest.mark.parametrize(("processes", "shards"), [(1, 3), (2, 4), (3, 2)] if IS_FULL else [(2, 3)])
def test_several_shards_leave_what_one_leaves(tmp_path, processes, shards):
    variables = night().settings(tmp_path / "data", state_shards=shards)
    ended = run_cluster(variables, processes, "-s", 0)
    assert [(each.status, each.complaints) for each in ended] == [(0, [])] * processes
    assert sum("monitors: " in each.out for each in ended) == 1
    assert_same(outcome(tmp_path / "data"), night().result)
    assert not list((tmp_path / "data" / "state" / "copies").iterdir())


def test_a_replay_leaves_the_published_file_alone(tmp_path):
    variables = night().settings(tmp_path / "data", state_shards=3)
    file = tmp_path / "data" / "monitors.duckdb"
    assert run_warm(variables).status == 0
    before, inode = file.read_bytes(), file.stat().st_ino
    for processes in (1, 2):
        for ended in run_cluster(variables, processes):
            assert (ended.status, ended.complaints) == (0, [])
        assert (file.read_bytes() == before, file.stat().st_ino) == (True, inode)


def test_every_snapshot_is_as_of_one_epoch_under_kills_too(tmp_path):
    """What a snapshot holds is exactly what a run over the input up to its positions leaves."""
    data, kept = tmp_path / "data", tmp_path / "kept"
    kept.mkdir()
    arguments = ("-r", make_store(tmp_path / "store", 2), "-s", 0, "-b", 0)
    variables = night().settings(data, state_shards=3, publish_interval=0, batch_size=40, **UNJUDGED)
    dice = random.Random(5)
    for number in range(12 * KILLS):
        if number >= KILLS and len(list(kept.iterdir())) >= COMPARED:
            break  # how many are published before a kill is a matter of pace
        cluster = start_cluster(variables, 2, *arguments)
        writes = dice.randint(12, 30)
        while writes > 0 and signal_after_writes(cluster, data, 1, 0, []):
            keep_snapshot(data, kept)
            writes -= 1
        cluster[dice.randrange(2)].send_signal(signal.SIGKILL)
        for process in cluster:
            end(process)
        keep_snapshot(data, kept)
    for ended in run_cluster(variables | CALM, 2, *arguments):
        assert (ended.status, ended.complaints) == (0, [])
    assert_same(outcome(data), without_ticks(night().result))
    snapshots = sorted(kept.iterdir())
    assert len(snapshots) >= COMPARED
    for number, snapshot in enumerate(dice.sample(snapshots, COMPARED)):
        compare(snapshot, tmp_path / f"up-to-{number}")


def without_ticks(result: Outcome) -> Outcome:
    return replace(result, tables={**result.tables, "clock_ticks": []})


def keep_snapshot(data: Path, kept: Path) -> None:
    """Hold on to the file that is published now, as a reader does."""
    file = data / "monitors.duckdb"
    try:
        (kept / str(file.stat().st_ino)).mkdir()
        os.link(file, kept / str(file.stat().st_ino) / file.name)
    except (FileNotFoundError, FileExistsError):
        pass  # nothing yet, or nothing new


def compare(snapshot: Path, folder: Path) -> None:
    for file, lines in acted_so_far(snapshot / "monitors.duckdb").items():
        write_jsonl(folder / "input" / file, lines)
    variables = night().settings(folder / "data", checkins_path=folder / "input", batch_size=4096, **UNJUDGED)
    assert run_warm(variables).status == 0
    found, expected = outcome(snapshot), outcome(folder / "data")
    # Sampling is behind by design: it waits for the slowest input, and the end of all of them releases the rest.
    # A line that cannot be read has its row before the others of its time act.
    for ahead, behind, table in (
        (expected, found, "check_in_samples"),
        (found, expected, "processing_errors"),
    ):
        assert set(behind.tables[table]) <= set(ahead.tables[table])
    for outcome_ in (found, expected):
        outcome_.tables.update(check_in_samples=[], sampling_rules=[], processing_errors=[], partitions=[])
        outcome_.occurrences.clear()
        outcome_.dead_letters.clear()
    assert_same(found, expected)


def acted_so_far(snapshot: Path) -> dict[str, list[bytes]]:
    """The lines that have acted: those from before the time to which every file that goes on has been read.

    (Files are put in order by time; a line that is late counts as of the newest time before it.)
    """
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        positions = dict(connection.execute('SELECT topic, "position" FROM internal.partitions').fetchall())
    read: dict[str, list[tuple[float, bytes]]] = {}
    until = float("inf")
    for path in sorted((night().folder / "input").iterdir()):
        lines = path.read_bytes().splitlines()
        taken = lines[: positions.get(path.name, 1) - 1]
        newest, read[path.name] = 0.0, []
        for line in taken:
            newest = max(newest, (read_ts(line) or 0) / 1e6)
            read[path.name].append((newest, line))
        if len(taken) < len(lines):
            until = min(until, newest)
    return {name: [line for at_s, line in lines if at_s < until] for name, lines in read.items()}
