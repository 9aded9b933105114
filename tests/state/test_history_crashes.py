"""kill -9 while hours are moved, days compacted and dropped, snapshots published; and readers meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from uuid import UUID

import duckdb
import pytest

from state.publish.snapshot_views import SNAPSHOT
from tests.examples import IS_FULL
from tests.state.history_stream import KINDS, MONITORS, RUNS, STEPS, expected, kinds_in
from tests.state.state_rows import answer
from tests.warm import run_warm

pytestmark = pytest.mark.process

LIVES = 30 if IS_FULL else 1
STOPS = 5 if IS_FULL else 1
READERS = 8 if IS_FULL else 2
PAUSE_SECONDS = 0.0 if IS_FULL else 0.02
"""Of a reader, so that the writer gets on."""
READ_STEPS = {1: 60, 3: 60} if IS_FULL else {1: 20, 3: 12}
LENGTHS = {1: STEPS, 3: 38}
"""By shards, how many steps are written: of several, a step takes longer."""
HISTORY_WRITES = (
    "fsync in sync, of _make_folder",
    "fsync in sync, of fill",
    "replace in fill, of write",
    "unlink in _remove, of _remove_unlisted",  # what the death before it has left
    "fsync in flush, of _flush",
    "replace in fill, of _write",
    "unlink in _remove, of remove",
)
LEFT_BEHIND = ("replace in fill, of write", "unlink in _remove, of _remove_unlisted")
"""What is removed at a start, and the death that leaves something to be removed."""
WRITES = {
    1: (
        *HISTORY_WRITES,
        "unlink in remove, of _clean_up",
        "fsync in copy_to, of _show",
        "unlink in opened, of _show",
        "unlink in put_in_place, of _show",
        "replace in put_in_place, of _show",
        "fsync in sync, of put_in_place",
        "unlink in remove, of _show",
    ),
    3: (
        *HISTORY_WRITES,
        "unlink in remove, of _clean_up",
        "fsync in copy_to, of _hand_in",
        "replace in _hand_in, of _show",
        "fsync in sync, of _hand_in",
        "unlink in opened, of _join",
        "replace in _assemble, of _show",
        "unlink in put_in_place, of _assemble",
        "replace in put_in_place, of _assemble",
        "fsync in sync, of put_in_place",
        "unlink in remove, of _remove_copy",
    ),
}
"""By shards, all that reaches the disk: which function calls which one that writes, renames or removes a file."""


def start(folder, kill_at=0, keep_seconds=0.0, steps=STEPS, shards=1, kind=""):
    """The process that writes the stream, from where it was."""
    paths = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.state.history_stream",
            str(folder),
            str(kill_at),
            str(steps),
            str(shards),
            kind,
        ],
        env={**os.environ, "PYTHONPATH": paths, "KEEP_SECONDS": str(keep_seconds)},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def check_everything_is_there_once(folder, steps=STEPS):
    statuses, failures = expected(steps)
    snapshot = folder / SNAPSHOT
    runs = answer(snapshot, "SELECT check_in_id, status FROM check_ins")
    assert Counter(runs) == Counter({(UUID(bytes=id_), status): 1 for id_, status in statuses.items()})
    errors = answer(snapshot, "SELECT error_id FROM processing_errors")
    assert Counter(errors) == Counter({(UUID(bytes=id_),): 1 for id_ in failures})


def test_a_run_that_nobody_disturbs_moves_compacts_and_drops(tmp_path):
    finish(start(tmp_path))
    check_everything_is_there_once(tmp_path)
    kinds = answer(
        tmp_path / SNAPSHOT,
        "SELECT table_name, is_whole_day, count(*) > 0 FROM history_files GROUP BY ALL ORDER BY ALL",
    )
    assert {(name, whole) for name, whole, _ in kinds} == {
        ("check_ins", True),
        ("check_ins", False),
        ("processing_errors", True),
        ("processing_errors", False),
    }
    hot = answer(tmp_path / SNAPSHOT, "SELECT count(*) FROM check_ins_hot")[0][0]
    assert hot < 400 < len(expected()[0])


@pytest.mark.parametrize("shards", WRITES)
def test_no_row_is_lost_or_doubled_by_a_kill_before_anything_that_reaches_the_disk(tmp_path, shards):
    """One life with a death before each kind of write, renaming and removal. What three shards do as one does is tried
    with one alone, unless all is tried."""
    for kind in WRITES[shards]:
        if shards == 3 and kind in WRITES[1] and kind not in LEFT_BEHIND and not IS_FULL:
            continue
        assert die(tmp_path, shards, 1, kind), f"there was no {kind}"
    finish(start(tmp_path, steps=LENGTHS[shards], shards=shards))
    check_everything_is_there_once(tmp_path, LENGTHS[shards])
    assert set(kinds_in(tmp_path / KINDS)) == set(WRITES[shards]), "WRITES is not complete"


@pytest.mark.parametrize("life", range(LIVES))
def test_no_row_is_lost_or_doubled_by_kills_wherever_something_is_about_to_reach_the_disk(tmp_path, life):
    """Three deaths in one life, at random steps of publishing, moving, compacting, dropping, cleaning up."""
    dice = random.Random(life)
    shards = (1, 3)[life % 2]
    for _ in range(3):
        die(tmp_path, shards, dice.randrange(1, 130))
    finish(start(tmp_path, steps=LENGTHS[shards], shards=shards))
    check_everything_is_there_once(tmp_path, LENGTHS[shards])


def die(folder, shards, kill_at, kind=""):
    """Go on, and die before something reaches the disk; whether it came to that before the end."""
    command = ["tests.state.history_stream", folder, kill_at, LENGTHS[shards], shards, kind]
    ended = run_warm({**os.environ}, *map(str, command))
    assert ended.status in (0, -signal.SIGKILL), ended.err
    check_snapshot(folder / SNAPSHOT)
    return ended.status != 0


def test_no_row_is_lost_or_doubled_by_kills_at_any_time(tmp_path):
    dice = random.Random(7)
    for _ in range(STOPS):
        process = start(tmp_path)
        try:
            process.wait(dice.uniform(0.8, 4.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    finish(start(tmp_path))
    check_everything_is_there_once(tmp_path)


INCONSISTENT = """
    SELECT
        (SELECT positions[1].position FROM snapshot_info) AS steps,
        (SELECT count(DISTINCT error_id) FROM processing_errors) AS distinct_errors,
        (SELECT count(*) FROM processing_errors) AS errors,
        (SELECT count(*) FROM check_ins) - (SELECT count(DISTINCT check_in_id) FROM check_ins) AS doubled,
        (SELECT count(*) FROM check_ins ANTI JOIN monitors USING (project_id, slug)) AS without_monitor,
        (SELECT count(*) FROM check_ins
         WHERE date_added >= (SELECT event_clock FROM snapshot_info) - INTERVAL 20 HOUR
            AND slug <> 'm3') AS recent"""


def check_snapshot(snapshot):
    """Whatever is published is complete as of one epoch, at any time."""
    if snapshot.exists():
        check_consistent(answer(snapshot, INCONSISTENT)[0])


def check_consistent(row):
    steps, distinct, errors, doubled, orphans, recent = row
    assert (distinct, errors, doubled, orphans) == (10 * steps, 10 * steps, 0, 0)
    assert recent == min(steps, 10) * (MONITORS - 1) * RUNS


@pytest.mark.parametrize("shards", [1, 3])
def test_every_snapshot_that_readers_open_meanwhile_is_consistent(tmp_path, shards):
    """A row lost, doubled or not yet there breaks a count that the snapshot's own position foretells."""
    process = start(tmp_path, keep_seconds=1e9, steps=READ_STEPS[shards], shards=shards)
    snapshot = tmp_path / SNAPSHOT
    seen: list[tuple[int, ...]] = []
    failures: list[str] = []

    def read():
        while process.poll() is None:
            if snapshot.exists():
                try:
                    # Attached, not opened: within one process DuckDB would share what another thread has open. With a
                    # type DuckDB 2.0 opens the file once (docs/history.md, "While it is replaced").
                    with duckdb.connect() as connection:
                        connection.execute(f"ATTACH '{snapshot}' AS jobs (READ_ONLY, TYPE duckdb); USE jobs")
                        seen.append(connection.execute(INCONSISTENT).fetchall()[0])
                except duckdb.Error as error:
                    failures.append(str(error))
            time.sleep(PAUSE_SECONDS)

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    finish(process)
    assert failures == []
    assert len({row[0] for row in seen}) > 3
    for row in seen:
        check_consistent(row)


def test_a_reader_that_holds_a_snapshot_reads_its_history_to_the_end(tmp_path):
    process = start(tmp_path, kill_at=130, keep_seconds=1e9)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    snapshot = tmp_path / SNAPSHOT
    with duckdb.connect(snapshot, read_only=True) as held:
        query = "SELECT count(*), sum(hash(check_in_id)), sum(hash(status)) FROM check_ins"
        before = held.execute(query).fetchall()
        assert held.execute("SELECT count(*) FROM internal.history_files").fetchall()[0][0] > 3
        finish(start(tmp_path, keep_seconds=1e9))
        assert held.execute(query).fetchall() == before
