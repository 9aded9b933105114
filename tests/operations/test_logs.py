import logging
import subprocess
import sys
from pathlib import Path

import pytest

from dataflow.operations.logs import configure_logs, log_start
from dataflow.process.log import log, warn
from dataflow.settings import Settings
from tests.processes import PROJECT


@pytest.fixture
def lines(capsys, monkeypatch):
    """The lines that were logged, without their times."""
    logger = logging.getLogger("cronwax")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setattr("atexit.register", lambda call: None)
    configure_logs()
    configure_logs()

    def read():
        found = capsys.readouterr().err.splitlines()
        assert all(line.startswith("time=20") for line in found)
        return [line.partition(" ")[2] for line in found]

    return read


def test_what_happened_is_one_line_of_keys_and_values(lines):
    log("resume", partition="a/3", offset=7, clock=None, path=Path("x"), seconds=0.25)
    warn("slow", text='with "quotes" and = and\nmore', empty="")
    assert lines() == [
        "level=info event=resume partition=a/3 offset=7 path=x seconds=0.25",
        'level=warning event=slow text="with \\"quotes\\" and = and\\nmore" empty=""',
    ]


def test_what_other_modules_log_becomes_such_a_line(lines):
    logging.getLogger("cronwax.kafka").warning("%s/%d: is gone", "t", 3)
    assert lines() == ['level=warning event=kafka text="t/3: is gone"']


def test_the_start_is_one_line_with_settings_and_versions_and_no_secret(lines):
    settings = Settings(
        source="kafka",
        kafka_bootstrap_servers="kafka:9092",
        kafka_config={"sasl.password": "open-sesame", "sasl.mechanism": "PLAIN"},
    )
    log_start(settings, ["-r", "store"])
    (line,) = lines()
    assert line.startswith("level=info event=start version=")
    for part in (
        'arguments="-r store"',
        "source=kafka",
        "kafka_bootstrap_servers=kafka:9092",
        "kafka_config=sasl.mechanism,sasl.password",
        "stall_seconds=120",
    ):
        assert f" {part} " in f"{line} "
    assert "sesame" not in line


def test_without_lines_of_keys_and_values_a_warning_is_its_text(caplog):
    warn("waiting", text="waiting for process 1", process=1)
    warn("slow")
    assert [record.getMessage() for record in caplog.records] == ["waiting for process 1", "slow"]


@pytest.mark.process
@pytest.mark.parametrize(("error", "status"), [("FlowError", 1), ("LastingError", 2)])
def test_an_error_that_ends_the_process_leaves_a_line_with_its_reason(error, status):
    code = f"""
from dataflow.operations.logs import configure_logs
from dataflow.process.exit import {error}, at_border

def fail():
    raise {error}("shard-000.duckdb: cannot write: No space left on device")

configure_logs()
at_border(fail)()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status
    (said, logged) = ended.stderr.splitlines()
    assert said == "cronwax: shard-000.duckdb: cannot write: No space left on device"
    end = f'event=stop reason="shard-000.duckdb: cannot write: No space left on device" status={status}'
    assert logged.endswith(end)
