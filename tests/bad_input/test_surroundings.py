"""Other processes on the same files, a full disk, an interrupt.

Each case is a process of its own, started as users start it.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

from tests.bad_input.places import GOOD, assert_fine, assert_one_line
from tests.builders import HOURLY, check_in
from tests.processes import FLOW, PROJECT, end, free_ports, make_store, outcome, run, start, write_jsonl

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print(connection.execute("SELECT count(*) FROM check_ins").fetchone()[0], flush=True)
sys.stdin.readline()
print(connection.execute("SELECT count(*) FROM check_ins").fetchone()[0], flush=True)
"""


def hold(file, mode):
    command = [sys.executable, "-c", HOLD, str(file), mode]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_flow_on_one_data_folder_is_refused(resumable):
    place = resumable
    with hold(place.data / "state" / "shard-000.duckdb", "write") as holder:
        assert holder.stdout.readline()
        said = f"another flow (process {holder.pid}) seems to be running on this data folder"
        assert_one_line(run(place.settings()), said)
        holder.communicate("\n")
    assert_fine(run(place.settings()))


def test_a_reader_neither_stops_the_flow_nor_sees_it_change(resumable):
    place = resumable
    with hold(place.data / "monitors.duckdb", "read") as reader:
        assert reader.stdout.readline() == "5\n"
        write_jsonl(place.input, [*GOOD, check_in(900, "nightly", number=9)])
        assert_fine(run(place.settings()))
        assert place.query("SELECT count(*) FROM check_ins") == [(6,)]
        assert reader.communicate("\n")[0] == "5\n"


def limited(place, kilobytes, *arguments):
    """A run whose process may make no file longer than this."""
    code = (
        "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024},) * 2);"
        "sys.argv[:] = ['bytewax.run', 'dataflow:flow', *sys.argv[1:]];"
        "runpy.run_module('bytewax.run', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return end(
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=place.settings(batch_size=100),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


@pytest.mark.parametrize("interval_s", [0, 3600])
def test_a_full_disk_ends_the_run_and_with_space_again_nothing_is_missing(place, interval_s):
    write_jsonl(
        place.input,
        [check_in(20 * n, f"job-{n % 50}", number=n + 1, config=HOURLY, status="error") for n in range(3000)],
    )
    store = make_store(place.folder / "store")
    ended = limited(place, 700, "-r", store, "-s", interval_s, "-b", 0)
    assert_one_line(ended, status=1)
    assert_fine(run(place.settings(), "-r", store, "-s", 0, "-b", 0))
    found = outcome(place.data)
    fresh = place.folder / "fresh"
    assert_fine(run(place.settings(data_dir=fresh)))
    assert found == outcome(fresh)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)], ids=str
)
def test_a_signal_before_the_flow_begins_ends_it_at_once_with_one_line(place, number, status):
    projects = place.folder / "projects.json"
    os.mkfifo(projects)
    process = start(place.settings(projects_path=projects))
    # Opening a pipe to write waits for its reader: the flow, in the middle of its start, where it now waits for ever.
    with projects.open("w"):
        process.send_signal(number)
        assert_one_line(end(process), f"stopped by {number.name} before the flow began", status=status)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_waits_for_its_peers_obeys_a_signal(place, number):
    addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(2))
    process = start(place.settings(), "-i", 1, "-a", addresses)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "waiting for process 0" in line, line
    sent = time.monotonic()
    process.send_signal(number)
    ended = end(process)
    assert time.monotonic() - sent < 5
    assert ended.complaints == [f"cronwax: stopped by {number.name} before the flow began"]


def test_a_summary_that_nobody_can_read_ends_nothing(place):
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [*FLOW], cwd=PROJECT, env=place.settings(), stdout=full, stderr=subprocess.PIPE, text=True
        )
        ended = end(process)
    assert_one_line(ended, "the summary cannot be printed: No space left on device", status=0)
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]


def test_a_flow_without_standard_output_does_its_work(place):
    command = f"exec {' '.join(FLOW)} >&-"
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=PROJECT, env=place.settings(), stderr=subprocess.PIPE, text=True
    )
    assert_fine(end(process))
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]


def test_more_workers_than_key_groups_are_refused(place):
    assert_one_line(run(place.settings(), "-w", 200), "-w 200: at most 64 workers")


def leap_seconds(path):
    """A time zone like UTC that counts a leap second of 1972, as those of `right/` count all (RFC 8536, version 1)."""
    counts = struct.pack(
        ">6I", 0, 0, 1, 0, 1, 4
    )  # UT, standard, leap seconds, transitions, types, characters
    leap = struct.pack(">ii", 78_796_800, 1)
    path.write_bytes(b"TZif" + bytes(16) + counts + struct.pack(">iBB", 0, 0, 0) + b"UTC\0" + leap)
    return f":{path}"


@pytest.mark.parametrize("zone", ["leap seconds", "Pacific/Kiritimati"])
def test_the_machines_own_zone_changes_nothing(place, zone):
    if zone == "leap seconds":
        zone = leap_seconds(place.folder / "leaping")
    code = "import time; print(time.gmtime(1_000_000_000).tm_sec)"
    shown = subprocess.run([sys.executable, "-c", code], env={"TZ": zone}, capture_output=True, check=True)
    assert shown.stdout.split() == (
        [b"40"] if zone.startswith("P") else [b"39"]
    )  # the zone is what it shall be
    write_jsonl(place.input, GOOD)
    assert_fine(run(place.settings()))
    usual = outcome(place.data)
    shutil.rmtree(place.data)
    assert_fine(run(place.settings() | {"TZ": zone}))
    assert outcome(place.data) == usual
