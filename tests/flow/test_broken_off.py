"""Executions that are broken off again and again: what they leave in the recovery store does no harm."""

from __future__ import annotations

import pickle
import random
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir

from dataflow.flow import BLOCKS
from dataflow.process.recovery_store import _resume_epoch, drop_broken_off, drop_given_up, part_files
from tests.builders import check_in, control, pulse
from tests.flow.memory import Plan, World, run, run_until_crash
from tests.flow.test_properties import assert_same

pytestmark = pytest.mark.usual_blocks
INPUT = "checkins.jsonl"
EVERY_FIVE_MINUTES = {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "max_runtime": 3}
_CLOCK_S = 120


def stream(seed, count=400):
    """Check-ins of monitors in all key groups, some of which are deleted and made again; a minute has many batches."""
    choices, lines, at_s = random.Random(seed), [], 0.0
    for number in range(1, count):
        at_s += choices.choice([0, 1, 2, 5])
        slug = f"m{choices.randrange(12)}"
        if choices.random() < 0.05:
            lines.append(control(at_s, "delete_monitor", project_id=1, monitor_slug=slug))
        status = choices.choice(["ok", "ok", "error", "in_progress"])
        environment = choices.choice(["production", "dev"])
        again = number - 3 if choices.random() < 0.2 else number
        lines.append(check_in(at_s, slug, status, again, config=EVERY_FIVE_MINUTES, environment=environment))
    return [*lines, pulse(at_s + _CLOCK_S), pulse(at_s + 3600)]


def execution_of(store):
    """The number of the last execution, and where it went on."""
    newest = (-1, 1)
    for file in part_files(store):
        with closing(sqlite3.connect(file)) as part:
            newest = max(newest, *part.execute("SELECT ex_num, resume_epoch FROM exs"), newest)
    return newest


def rewind(store):
    """Leave the store as it is when the last execution has written the snapshots of an epoch, but not yet that it is
    over: the next one resumes at this epoch, and finds the rows of it. Nothing may have been thrown away since."""
    execution, begun = execution_of(store)
    epoch = max(begun, _resume_epoch(store) - 1)
    for file in part_files(store):
        with closing(sqlite3.connect(file)) as part, part:
            part.execute("UPDATE fronts SET worker_frontier = ? WHERE ex_num = ?", [epoch, execution])


def rows_of(store, condition, *values):
    rows: list[tuple[str, str]] = []
    for file in part_files(store):
        with closing(sqlite3.connect(file)) as part:
            rows += part.execute(f"SELECT step_id, state_key FROM snaps WHERE {condition}", values)
    return rows


def forge(store, step_id, key, epoch, change):
    """A row as a broken-off execution leaves it."""
    with closing(sqlite3.connect(part_files(store)[0])) as part, part:
        part.execute(
            "INSERT OR REPLACE INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)",
            [step_id, key, epoch, change],
        )


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("workers", [[1], [2, 1, 3]], ids=["one worker", "groups move"])
def test_rows_of_an_epoch_that_did_not_end_do_not_count(tmp_path, seed, workers):
    """Epochs of other executions are of other sizes: a key group that was asked in one may not be in the next."""
    choices, lines = random.Random(seed), stream(seed)
    init_db_dir(tmp_path, 2)
    world, left = World(), 0
    recovery = RecoveryConfig(str(tmp_path), backup_interval=timedelta(days=1))
    for execution in range(12):
        sizes = [choices.choice([1, 2, 5, 15]) for _ in range(200)]
        plan = Plan(sizes, choices.choice([1, 1, 2, 3, 8]))
        epoch = _resume_epoch(tmp_path)
        run_until_crash(
            lines, {INPUT: plan}, world=world, recovery=recovery, workers=workers[execution % len(workers)]
        )
        assert execution_of(tmp_path) == (execution, max(epoch, 1))
        if choices.random() < 0.7:
            rewind(tmp_path)
        left += len(rows_of(tmp_path, "snap_epoch >= ?", _resume_epoch(tmp_path)))
        drop_broken_off(tmp_path)
        drop_given_up(tmp_path, BLOCKS)
    run(lines, {INPUT: Plan([5] * 200)}, world=world, recovery=recovery)
    assert left > 100
    assert_same(run(lines), world)


@pytest.mark.parametrize("workers", [[1], [2, 1, 3]], ids=["one worker", "groups move"])
def test_blocks_of_epochs_that_did_not_end_do_no_harm_where_they_stay(tmp_path, workers):
    """As in a cluster, of which nobody can say whether another process is still about to end."""
    lines, world, forged = stream(9), World(), set()
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path), backup_interval=timedelta(0))
    blocks = f"step_id LIKE '{BLOCKS}%'"
    for execution in range(6):
        plan = Plan([5] * 200, 9)
        run_until_crash(
            lines, {INPUT: plan}, world=world, recovery=recovery, workers=workers[execution % len(workers)]
        )
        epoch, step_id = _resume_epoch(tmp_path), rows_of(tmp_path, blocks)[0][0]
        for later in range(3 if execution < 4 else 0):
            # A block that never came into a snapshot, and a key that was given up twice.
            put, given_up = (f"transition/{later}/{execution}-{n}" for n in (900, 901))
            forge(tmp_path, step_id, put, epoch + later, pickle.dumps(b"nothing"))
            forge(tmp_path, step_id, given_up, epoch + later, None)
            forged |= {put, given_up}
        drop_given_up(tmp_path, BLOCKS)
    assert not forged & {key for _, key in rows_of(tmp_path, blocks)}
    run(lines, {INPUT: Plan([5] * 200)}, world=world, recovery=recovery)
    assert_same(run(lines), world)


def test_keys_are_used_again_while_a_flow_runs(tmp_path):
    """Of each that is given up the engine keeps a row for ever, and looks through all rows in each epoch."""
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path), backup_interval=timedelta(0))
    run(stream(3, 1_000), {INPUT: Plan([3] * 400)}, recovery=recovery)
    blocks = f"step_id LIKE '{BLOCKS}%'"
    assert not rows_of(tmp_path, f"{blocks} AND ser_change IS NULL")
    assert 10 < len(rows_of(tmp_path, blocks)) < 300
