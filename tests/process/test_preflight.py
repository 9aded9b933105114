"""What is looked at before the engine starts, and how the engine's own failures are put."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bytewax.recovery import InconsistentPartitionsError, init_db_dir

from dataflow.process.engine_stderr import explain
from dataflow.process.exit import StartError
from dataflow.process.preflight import check_data_dir, check_metrics, check_recovery_store, read_arguments
from dataflow.process.recovery_store import hold_store
from dataflow.settings import Settings, SettingsError
from tests.processes import PROJECT, free_ports

PEERS = "10.0.0.1:2101;10.0.0.2:2101"


def arguments(*words, **environment):
    return read_arguments(["bytewax.run", "dataflow:flow", *words], environment)


def complaint(error):
    return str(error.value)


def test_arguments_come_from_the_command_line_or_the_environment():
    given = arguments("-r", "store", "-s", "10", "-b", "0", "-w", "2", "-i", "1", "-a", PEERS)
    assert given == arguments(
        BYTEWAX_RECOVERY_DIRECTORY="store",
        BYTEWAX_WORKERS_PER_PROCESS="2",
        BYTEWAX_PROCESS_ID="1",
        BYTEWAX_ADDRESSES=PEERS,
    )
    assert (given.recovery_store, given.workers, given.process_id) == (Path("store"), 2, 1)
    assert given.addresses == PEERS.split(";")


def test_without_arguments_there_is_one_worker_and_no_store():
    assert arguments() == arguments("-w", "1")
    assert arguments().recovery_store is None


def test_the_name_of_a_pod_says_which_process_it_is():
    found = arguments("-a", PEERS, BYTEWAX_POD_NAME="flow-1")
    assert (found.process_id, found.process_name) == (None, "flow-1")


def test_processes_have_names_of_their_own():
    assert arguments().process_name == "0"
    assert arguments("-i", "1", "-a", PEERS, BYTEWAX_POD_NAME="flow-1").process_name == "1"


HOLD = """
import sys
from pathlib import Path
from dataflow.process.exit import at_border
from dataflow.process.recovery_store import hold_store
at_border(hold_store)(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def hold(store, process):
    command = [sys.executable, "-c", HOLD, str(store), process]
    return subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.process
def test_a_store_is_held_by_one_flow_at_a_time(tmp_path):
    with hold(tmp_path, "0") as holder:
        assert holder.stdout.readline() == "held\n"
        with hold(tmp_path, "0") as second:
            _, err = second.communicate("")
            assert second.returncode == 2
            by = f"another flow (process {holder.pid} on {socket.gethostname()}) is running on it"
            assert err == f"cronwax: recovery store {tmp_path}: {by}\n"
        with hold(tmp_path, "1") as peer:
            assert peer.communicate("") == ("held\n", "")
        holder.kill()
    with hold(tmp_path, "0") as successor:
        assert successor.communicate("") == ("held\n", "")


def test_a_store_that_cannot_be_locked_is_told(tmp_path):
    with pytest.raises(StartError) as error:
        hold_store(tmp_path / "none", "0")
    assert "process-0.lock: cannot be locked: No such file or directory" in complaint(error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-w", "0"], "-w 0"),
        (["-w", "-1"], "-w -1"),
        (["-i", "2", "-a", PEERS], "-i 2: there are 2 addresses"),
        (["-i", "-1", "-a", PEERS], "-i -1"),
        (["-a", PEERS], "-i is missing"),
        (["-i", "0", "-a", "localhost"], "'localhost' is not HOST:PORT"),
        (["-i", "0", "-a", "localhost:http"], "'localhost:http' is not HOST:PORT"),
        (["-i", "0", "-a", "localhost:65536"], "'localhost:65536' is not HOST:PORT"),
        (["-i", "0", "-a", "localhost:2101;"], "'' is not HOST:PORT"),
        (["-i", "0", "-a", "a:1;a:1"], "the same address"),
    ],
)
def test_arguments_that_the_engine_would_hang_or_panic_on_are_refused(words, said):
    with pytest.raises(StartError) as error:
        arguments(*words)
    assert error.value.status == 2
    assert said in complaint(error)


def served_at(port, **more):
    return {"BYTEWAX_DATAFLOW_API_ENABLED": "1", "BYTEWAX_DATAFLOW_API_PORT": str(port), **more}


def test_metrics_at_a_free_port_are_fine_and_nobody_need_want_them(tmp_path):
    (port,) = free_ports(1)
    check_metrics(served_at(port, BYTEWAX_DATAFLOW_API_CACHE_PATH=str(tmp_path)))
    check_metrics({"BYTEWAX_DATAFLOW_API_PORT": "nonsense"})


@pytest.mark.parametrize("port", ["", "http", "0", "65536", "-1"])
def test_metrics_at_no_port_are_refused(port):
    with pytest.raises(StartError) as error:
        check_metrics(served_at(port))
    assert complaint(error).startswith(f"BYTEWAX_DATAFLOW_API_PORT: {port!r} is not a port")


def test_metrics_at_a_port_in_use_are_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StartError) as error:
            check_metrics(served_at(other.getsockname()[1]))
    assert "Address already in use; each process needs a free one" in complaint(error)


def test_metrics_need_a_folder_that_the_engine_can_write_to(tmp_path):
    (port,) = free_ports(1)
    with pytest.raises(StartError) as error:
        check_metrics(served_at(port, BYTEWAX_DATAFLOW_API_CACHE_PATH=str(tmp_path / "none")))
    assert "BYTEWAX_DATAFLOW_API_CACHE_PATH" in complaint(error)


def test_the_data_folder_is_made_and_nothing_is_left_in_it(tmp_path):
    check_data_dir(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_no_recovery_store_is_fine():
    check_recovery_store(None, "cronwax", Settings(), {})


def test_a_fresh_store_is_fine(tmp_path):
    init_db_dir(tmp_path, 3)
    check_recovery_store(tmp_path, "cronwax", Settings(), {"source_demo": ["demo-0"]})


def test_a_store_that_lacks_a_part_is_refused(tmp_path):
    init_db_dir(tmp_path, 3)
    (tmp_path / "part-1.sqlite3").unlink()
    with pytest.raises(StartError) as error:
        check_recovery_store(tmp_path, "cronwax", Settings(), {})
    assert "made with 3 partitions and 2 are there" in complaint(error)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_part_that_is_no_database_is_refused(tmp_path, content):
    (tmp_path / "part-0.sqlite3").write_bytes(content)
    with pytest.raises(StartError) as error:
        check_recovery_store(tmp_path, "cronwax", Settings(), {})
    assert "part-0.sqlite3 cannot be read" in complaint(error)


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "null", '"ab"', '{"a": 1}', '{"1": "x"}', '{"1": null}', '{"1": 1.5}', '{"1": 1e400}'),
        *('{"1": true}', '{"-1": 1}', '{"1": 99999999999999999999}', "[" * 100_000, '{"1": ' + "[" * 100_000),
    ],
)
def test_a_projects_file_that_is_broken_is_named(tmp_path, content):
    path = tmp_path / "projects.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"^CRONWAX_PROJECTS_PATH: .*projects\.json: .*$"):
        Settings(projects_path=path).projects()


def test_a_misspelt_setting_is_refused_and_other_variables_are_none_of_ours(monkeypatch):
    for name in ("CRONWAX_PYTHON", "CRONWAX_TEST_FULL", "CRONWAX_KAFKA_PORT", "RETENTION_DAY"):
        monkeypatch.setenv(name, "1")
    Settings.load()
    monkeypatch.setenv("CRONWAX_RETENTION", "14")
    with pytest.raises(SettingsError, match=r"^CRONWAX_RETENTION: .* do you mean CRONWAX_RETENTION_DAYS\?$"):
        Settings.load()


def test_a_projects_file_says_the_organization_of_each_project(tmp_path):
    path = tmp_path / "projects.json"
    path.write_text('{"7": 2, "8": 3}')
    assert Settings(projects_path=path).projects() == {7: 2, 8: 3}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError('(src/run.rs:1:2) `Err` value: SqliteFailure(x, Some("disk is full"))'),
            "disk is full",
        ),
        (RuntimeError("x\nCaused by => Exception: failed to initialize networking: refused"), "-a): refused"),
        (BaseException("Send thread panic: Any { .. }"), "another process of the cluster has ended"),
        (
            InconsistentPartitionsError("parts are\ntoo old"),
            "recovery store cannot be used: parts are too old",
        ),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(error, said):
    line = explain(error)
    assert line is not None
    assert said in line
    assert "\n" not in line


def test_a_mistake_in_the_program_is_not_made_light_of():
    assert explain(KeyError("slug")) is None


BREAKS = """
import os, sys, time
from dataflow.process.engine_stderr import report_in_one_line
report_in_one_line()
print("progress", file=sys.stderr)
os.write(2, b"a library's line\\n")
os.write(2, b"thread 'main' panicked at src/run.rs:1:2:\\n")
os.write(2, b"stack backtrace:\\n   0: somewhere\\n")
raise {error}
"""


def breaks_with(error):
    code = BREAKS.format(error=error)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, sorted(done.stderr.splitlines())


@pytest.mark.process
def test_a_panic_is_kept_back_where_a_line_will_do():
    status, lines = breaks_with("RuntimeError('SqliteFailure(x, Some(\"disk is full\"))')")
    assert status == 1
    said = "cronwax: the recovery store cannot be used: disk is full"
    assert lines == ["a library's line", said, "progress"]


@pytest.mark.process
def test_a_panic_is_shown_where_no_line_would_do():
    status, lines = breaks_with("KeyError('slug')")
    assert status == 1
    assert {"progress", "a library's line", "thread 'main' panicked at src/run.rs:1:2:"} <= set(lines)
    assert {"stack backtrace:", "   0: somewhere", "KeyError: 'slug'"} <= set(lines)


@pytest.mark.process
def test_what_is_written_past_python_comes_out_at_a_good_end_too():
    code = BREAKS.replace("raise {error}", "")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert "   0: somewhere\n" in done.stderr
    assert os.linesep not in done.stdout
