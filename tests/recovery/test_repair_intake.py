"""`cronwax repair` on the intake's log, whose clock follows the machine's once it is read to its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from cronwax.intake.log_writer import SegmentWriter
from dataflow.connectors.intake_log import open_log, partition_name, segment_path
from state.errors import StateError
from state.publish.snapshot import open_snapshot
from state.schema.database import shard_path
from tests.builders import check_in
from tests.processes import HANGS_AFTER_S, PROJECT, end, make_store, outcome, settings, start

pytestmark = pytest.mark.process
MINUTELY = {"schedule": {"type": "crontab", "value": "* * * * *"}}
LINES = 40


def missed(data):
    try:
        with open_snapshot(data) as connection:
            ((count,),) = connection.execute(
                "SELECT count(*) FROM check_ins WHERE status = 'missed'"
            ).fetchall()
            return count
    except StateError:
        return 0


def test_the_tables_come_to_the_clock_of_the_store_and_without_a_segment_to_what_is_published(tmp_path):
    data, store = tmp_path / "data", make_store(tmp_path / "store")
    folder = data / "intake"
    folder.mkdir(parents=True)
    open_log(folder, 1)
    writer = SegmentWriter(folder / partition_name(0), 2_000)
    begin_us = time.time_ns() // 1000 - 20 * 60_000_000
    for number in range(LINES):
        at_us = begin_us + number * 1_000_000
        line = check_in(0, f"m{number % 3}", number=number + 1, config=MINUTELY)["message"]
        line["start_time"] = at_us / 1_000_000
        writer.append([b'"message":%b}\n' % json.dumps(line).encode()], at_us)
    variables = settings(source="intake", data_dir=data, publish_interval=0)
    process = start(variables, "-r", store, "-s", 1, "-b", 0)
    deadline = time.monotonic() + HANGS_AFTER_S
    while missed(data) < 3 * 15 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)  # between two looks
    process.send_signal(signal.SIGTERM)
    assert end(process).status == 0
    before = outcome(data)
    assert len(before.tables["check_ins"]) > 3 * 15

    def repair() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cronwax", "repair", "-r", str(store)]
        return subprocess.run(
            command, cwd=PROJECT, env=variables, capture_output=True, text=True, check=False
        )

    shard_path(data, 0).write_bytes(b"")
    done = repair()
    assert done.returncode == 0, done
    assert outcome(data).tables == before.tables
    shard_path(data, 0).write_bytes(b"")
    segment_path(folder / partition_name(0), 1).unlink()
    gone = "intake/0: the first 1 segments of the log are gone"
    snapshot = data / "monitors.duckdb"
    whole = snapshot.read_bytes()
    with duckdb.connect(str(snapshot)) as connection:
        connection.execute("UPDATE internal.data_info SET data_id = uuid()")
    done = repair()
    assert done.returncode == 2
    assert gone in done.stderr.splitlines()[-1]
    assert "is not of the file of shard 0 that the recovery store belongs to" in done.stderr.splitlines()[-1]
    snapshot.write_bytes(b"")
    done = repair()
    assert done.returncode == 2
    assert "cannot be read, or is not there" in done.stderr.splitlines()[-1]
    snapshot.write_bytes(whole)
    done = repair()
    assert done.returncode == 0, done
    assert gone in done.stderr.splitlines()[-1]
    assert outcome(data).tables == before.tables
