"""Bad input and broken surroundings: one clear line and a status, or a row and a dead letter; never a traceback.

Each case is a process of its own, started as users start it.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from tests.builders import HOURLY, START_S, as_line, check_in, control, guid
from tests.processes import PROJECT, end, make_store, outcome, run, settings, start, write_jsonl

GOOD = [check_in(60 * n, "nightly", number=n + 1, config=HOURLY) for n in range(5)]
DEEP = "[" * 100_000 + "]" * 100_000
BYTES_10_MB = 10_000_000


class Place:
    """A folder for one case: input, data and store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.input = write_jsonl(folder / "input.jsonl", GOOD)

    def settings(self, **others):
        return settings(**{"source": "file", "checkins_path": self.input, "data_dir": self.data} | others)

    def query(self, sql):
        with duckdb.connect(str(self.data / "monitors.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def dead_letters(self):
        lines = (self.data / "dead_letters.jsonl").read_text().splitlines()
        return {line["offset"]: line for line in map(json.loads, lines)}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def assert_one_line(ended, *said, status=2):
    assert ended.status == status, ended.err
    assert len(ended.complaints) == 1, ended.err
    assert ended.complaints[0].startswith("cronwax: ")
    for words in said:
        assert str(words) in ended.complaints[0]


def assert_fine(ended):
    assert (ended.status, ended.complaints) == (0, [])


def with_payload(payload, **others):
    message = {"message_type": "check_in", "payload": payload, "start_time": START_S, "project_id": 1}
    return json.dumps({"ts": START_S, "message": message | others})


def body(number, rest):
    return f'{{"check_in_id": "{guid(number)}", "monitor_slug": "nightly", "status": "ok", {rest}}}'


MALFORMED = {
    "no JSON": "{no message",
    "10 MB of nothing": "x" * BYTES_10_MB,
    "a payload of 10 MB that is no JSON": with_payload("x" * BYTES_10_MB),
    "deep nesting alone": DEEP,
    "deep nesting beside the message": json.dumps({"x": 0} | GOOD[0]).replace("0", DEEP, 1),
    "deep nesting in a payload's text": with_payload(body(50, f'"contexts": {DEEP}')),
    "deep nesting in a config": with_payload(body(51, f'"monitor_config": {DEEP}')),
    "deep nesting for a payload": with_payload(0).replace('"payload": 0', f'"payload": {DEEP}'),
    "NaN for a time": json.dumps({**GOOD[0], "ts": float("nan")}),
    "NaN for a start": with_payload(body(52, '"x": 0'), start_time=float("nan")),
    "NaN for a duration": with_payload(body(53, '"duration": NaN')),
    "a lone surrogate in a slug": with_payload(body(54, '"x": 0').replace("nightly", "\\ud800")),
    "a lone surrogate in a payload": with_payload(body(55, '"x": "\ud800"')),
    "a lone surrogate for an SDK": with_payload(body(56, '"x": 0'), sdk="\ud800"),
    "a negative time": json.dumps({**GOOD[0], "ts": -5}),
    "a negative start": with_payload(body(57, '"x": 0'), start_time=-5),
    "bytes that are no UTF-8": b"\xff\xfe\x00",
    "no object": "null",
    "another message": with_payload("{}", message_type="x"),
}


def test_what_is_no_message_becomes_an_error_and_a_dead_letter_and_nothing_good_is_lost(place):
    write_jsonl(place.input, [*MALFORMED.values(), *GOOD])
    assert_fine(run(place.settings()))
    offsets = dict(enumerate(MALFORMED, 1))
    rows = place.query("""SELECT "offset" FROM processing_errors WHERE error_types = ['MALFORMED_MESSAGE']""")
    assert {offsets[offset] for (offset,) in rows} == set(MALFORMED)
    letters = place.dead_letters()
    assert {offsets[offset] for offset in letters} == set(MALFORMED)
    assert all(letter["reason"] and "\n" not in letter["reason"] for letter in letters.values())
    assert letters[1]["payload"] == MALFORMED["no JSON"]
    assert letters[2]["payload"] == MALFORMED["10 MB of nothing"]
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]
    assert place.query("SELECT count(*) FROM processing_errors") == [(len(MALFORMED),)]


def test_what_is_a_message_but_not_valid_becomes_an_error_alone(place):
    zone = check_in(0, "other", number=60, config={**HOURLY, "timezone": "Mars/Base"})
    wrong = [
        zone,
        control(0, "mute", project_id=1, monitor_slug="nobody", muted=True),
        f'{{"ts": {START_S}, "control": {DEEP}}}',
        f'{{"ts": {START_S}, "control": {{"type": "mute", "x": {DEEP}}}}}',
        f'{{"ts": {START_S}, "control": {{"type": "mute", "monitor_slug": "\\ud800"}}}}',
    ]
    write_jsonl(place.input, [*wrong, *GOOD])
    assert_fine(run(place.settings()))
    rows = dict(place.query('SELECT "offset", error_types FROM processing_errors'))
    assert rows.pop(1) == ["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"]
    assert rows == {2: ["INVALID_CONTROL"]} | dict.fromkeys((3, 4, 5), rows[3])
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]


def test_a_valid_payload_of_10_mb_is_a_check_in(place):
    huge = check_in(0, "nightly", number=60, config=HOURLY, contexts={"x": "y" * BYTES_10_MB})
    write_jsonl(place.input, [huge, *GOOD])
    assert_fine(run(place.settings()))
    assert place.query("SELECT count(*) FROM check_ins") == [(1 + len(GOOD),)]


def test_a_truncated_gz_fails_behind_its_last_whole_line(place):
    lines = [check_in(60 * n, f"job-{n % 7}", number=n + 1, config=HOURLY) for n in range(3000)]
    packed = gzip.compress(b"".join(as_line(line) + b"\n" for line in lines))
    path = place.folder / "cut.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    ended = run(place.settings(checkins_path=path), "-s", 1)
    assert_one_line(ended, path, "is truncated behind line ", status=1)
    line = int(ended.complaints[0].rpartition(" ")[2])
    assert place.query("SELECT count(*) FROM check_ins WHERE status = 'ok'") == [(line,)]
    assert 0 < line < 3000


def test_a_gz_that_is_none_is_named(place):
    path = place.folder / "none.jsonl.gz"
    path.write_bytes(b"plain text")
    assert_one_line(run(place.settings(checkins_path=path)), path, "is corrupt")


WRONG_SETTINGS = {
    "a misspelt setting": ({"retention_day": "secret"}, "do you mean CRONWAX_RETENTION_DAYS?"),
    "an unknown source": ({"source": "rabbit"}, "CRONWAX_SOURCE: "),
    "a word for a number": ({"rate_limit": "six"}, "CRONWAX_RATE_LIMIT: "),
    "a number out of range": ({"batch_size": "0"}, "CRONWAX_BATCH_SIZE: "),
    "several": ({"source": "rabbit", "key_groups": "x"}, "CRONWAX_KEY_GROUPS: "),
    "no JSON": ({"kafka_config": "{secret"}, "CRONWAX_KAFKA_CONFIG: is not valid JSON"),
    "JSON of another kind": ({"kafka_config": "[1]"}, "CRONWAX_KAFKA_CONFIG: must be a JSON object"),
    "no input path": ({"checkins_path": ""}, "CRONWAX_CHECKINS_PATH must be set"),
    "an input path that is not there": (
        {"checkins_path": "/nowhere/x.jsonl"},
        "/nowhere/x.jsonl: no such file",
    ),
    "an input path that is no file": ({"checkins_path": os.devnull}, f"{os.devnull}: neither a file nor"),
    "a data folder below a file": ({"data_dir": str(PROJECT / "LICENSE" / "x")}, "LICENSE/x cannot be made"),
    "an input path that is too long": ({"checkins_path": "/" + "x" * 5000}, "File name too long"),
    "a folder without input": ({"checkins_path": str(PROJECT / "docs")}, "docs: no *.jsonl"),
    "a projects file that is not there": ({"projects_path": "/nowhere"}, "CRONWAX_PROJECTS_PATH: /nowhere: "),
    "a data folder below nothing": ({"data_dir": "/proc/x"}, "CRONWAX_DATA_DIR: /proc/x "),
    "a data folder that takes no file": ({"data_dir": "/proc"}, "CRONWAX_DATA_DIR: /proc "),
}


WRONG_ARGUMENTS = {
    "no worker": (("-w", 0), "-w 0", 2),
    "no such process": (("-i", 2, "-a", "127.0.0.1:1;127.0.0.1:2"), "-i 2", 2),
    "an address of another machine": (
        ("-i", 0, "-a", "192.0.2.1:1;127.0.0.1:2"),
        "addresses of the cluster",
        1,
    ),
}


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """How each start with something wrong ended; as many at a time as there are cores."""
    top = Place(tmp_path_factory.mktemp("starts"))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ended = {case: pool.submit(run, top.settings(**wrong)) for case, (wrong, _) in WRONG_SETTINGS.items()}
        for case, (arguments, *_) in WRONG_ARGUMENTS.items():
            ended[case] = pool.submit(run, top.settings(data_dir=top.folder / case), *arguments)
    return {case: future.result() for case, future in ended.items()} | {"data folder": top.data}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_a_wrong_setting_stops_the_start(starts, case):
    assert_one_line(starts[case], WRONG_SETTINGS[case][1])
    assert "secret" not in starts[case].err
    assert not starts["data folder"].exists()


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_stop_the_start(starts, case):
    _, said, status = WRONG_ARGUMENTS[case]
    assert_one_line(starts[case], said, status=status)


def test_a_data_folder_that_is_a_file_stops_the_start(place):
    assert_one_line(
        run(place.settings(data_dir=place.input)), f"CRONWAX_DATA_DIR: {place.input} cannot be made"
    )


def test_a_broken_projects_file_stops_the_start(place):
    path = place.folder / "projects.json"
    path.write_text('{"1": 1e400}')
    assert_one_line(run(place.settings(projects_path=path)), f"CRONWAX_PROJECTS_PATH: {path}: ")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A place where a run with a recovery store has come to its end; only to be copied."""
    place = Place(tmp_path_factory.mktemp("finished") / "place")
    store = make_store(place.folder / "store")
    assert_fine(run(place.settings(), "-r", store, "-s", 0, "-b", 0))
    return place.folder


@pytest.fixture
def resumable(finished, tmp_path):
    """A place of this test's own where a run has come to its end, and the arguments to resume it."""
    shutil.copytree(finished, tmp_path / "place")
    place = Place(tmp_path / "place")
    place.store = place.folder / "store"
    place.arguments = ("-r", place.store, "-s", 0, "-b", 0)
    return place


def test_a_store_with_another_number_of_key_groups_stops_the_start(resumable):
    ended = run(resumable.settings(key_groups=32), *resumable.arguments)
    assert_one_line(ended, resumable.store, "CRONWAX_KEY_GROUPS")


def test_a_store_of_another_source_stops_the_start(resumable):
    assert_one_line(run(resumable.settings(source="demo"), *resumable.arguments), "CRONWAX_SOURCE=file")


def test_a_store_whose_input_has_vanished_stops_the_start(resumable):
    resumable.input.rename(resumable.folder / "renamed.jsonl")
    variables = resumable.settings(checkins_path=resumable.folder / "renamed.jsonl")
    assert_one_line(run(variables, *resumable.arguments), "input.jsonl is no longer there")


def test_a_store_of_another_data_folder_stops_the_start(resumable):
    """What the store's flow had written would be missing."""
    shutil.rmtree(resumable.data)
    assert_one_line(run(resumable.settings(), *resumable.arguments), "CRONWAX_DATA_DIR", resumable.data)


def test_an_input_file_that_shrank_is_told(resumable):
    write_jsonl(resumable.input, GOOD[:2])
    ended = run(resumable.settings(), *resumable.arguments)
    assert_one_line(ended, resumable.input, "is shorter than what was read of it before", status=1)


def test_a_store_that_somebody_else_writes_ends_the_run(resumable):
    """The engine panics on it, as it does when the store's disk is full."""
    with sqlite3.connect(resumable.store / "part-0.sqlite3") as holder:
        holder.execute("BEGIN IMMEDIATE")
        ended = run(resumable.settings(), *resumable.arguments)
        holder.rollback()
    assert_one_line(ended, "the recovery store cannot be used: database is locked", status=1)
    assert_fine(run(resumable.settings(), *resumable.arguments))


OTHER_FLOW = """
import bytewax.operators as op
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource
flow = Dataflow("other")
op.output("output", op.input("input", flow, TestingSource([1])), StdOutSink())
"""


def test_a_store_of_another_flow_stops_the_start(place):
    store = make_store(place.folder / "store")
    (place.folder / "other.py").write_text(OTHER_FLOW)
    command = [sys.executable, "-m", "bytewax.run", "other:flow", "-r", str(store), "-s", "0", "-b", "0"]
    subprocess.run(command, cwd=place.folder, check=True, capture_output=True)
    ended = run(place.settings(), "-r", store, "-s", 0, "-b", 0)
    assert_one_line(ended, store, "it belongs to another flow, other")


@pytest.mark.parametrize("made", [False, True])
def test_a_store_that_is_none_stops_the_start_and_says_how_to_make_one(place, made):
    store = place.folder / "store"
    if made:
        store.mkdir()
    ended = run(place.settings(), "-r", store, "-s", 0, "-b", 0)
    assert_one_line(ended, store, f"./run.sh recovery {store} 8")


def test_a_store_that_lacks_a_part_stops_the_start(place):
    store = make_store(place.folder / "store", 2)
    (store / "part-0.sqlite3").unlink()
    assert_one_line(run(place.settings(), "-r", store, "-s", 0, "-b", 0), "made with 2 partitions and 1 are")


def test_a_data_folder_of_a_newer_schema_stops_the_start(resumable):
    place = resumable
    file = place.data / "state" / "shard-000.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE schema_info SET version = version + 1")
    before = (place.data / "monitors.duckdb").read_bytes()
    assert_one_line(run(place.settings()), file, "use a newer one")
    assert (place.data / "monitors.duckdb").read_bytes() == before


def test_a_second_flow_on_one_store_is_refused_before_the_store_knows_of_it(place):
    store = make_store(place.folder / "store")
    with open(store / "process-0.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_one_line(run(place.settings(), "-r", store, "-s", 0, "-b", 0), store, "another flow")
        with sqlite3.connect(store / "part-0.sqlite3") as part:
            assert part.execute("SELECT * FROM exs").fetchall() == []
    assert_fine(run(place.settings(), "-r", store, "-s", 0, "-b", 0))


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


def test_an_interrupt_at_the_start_is_one_line(place):
    process = start(place.settings(projects_path=_pipe(place)))
    _wait_for_reader(place)
    process.send_signal(signal.SIGINT)
    assert_one_line(end(process), "interrupted", status=1)


def _pipe(place):
    os.mkfifo(place.folder / "projects.json")
    return place.folder / "projects.json"


def _wait_for_reader(place):
    """Opening a pipe to write waits for its reader: the flow, in the middle of its start."""
    place.writer = os.open(place.folder / "projects.json", os.O_WRONLY)
    time.sleep(
        0.2
    )  # a signal between its opening the pipe and its waiting for the text would be noticed behind that
