"""What was tried as an operator at three in the morning (the table is in test_trials.py)."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time

import duckdb
import pexpect
import pytest

from dataflow.connectors.intake_log import partition_name, segment_path
from tests.builders import check_in, control, pulse
from tests.commands.terminal import COLOURS, COMMAND, piped, seen, variables
from tests.processes import PROJECT, free_ports, write_jsonl

pytestmark = pytest.mark.process

EVERY_10 = {"schedule": {"type": "crontab", "value": "*/10 * * * *"}, "max_runtime": 5}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Four jobs: `hangs` times out and is not heard of again; `gone-1` and `gone-2` stop together; `quiet` is muted
    and fails; `idle` is disabled."""
    folder = tmp_path_factory.mktemp("night")
    lines = []
    for slug in ("hangs", "gone-1", "gone-2", "quiet", "idle"):
        config = {**EVERY_10, "owner": f"team:{slug[:4]}"}
        lines.append(control(0, "upsert_monitor", project_id=1, monitor_slug=slug, monitor_config=config))
    lines.append(control(1, "mute", project_id=1, monitor_slug="quiet", muted=True))
    number = 0
    for minute in range(0, 60, 10):
        for slug in ("hangs", "gone-1", "gone-2", "quiet"):
            number += 1
            status = (
                "in_progress" if slug == "hangs" and minute == 50 else "error" if slug == "quiet" else "ok"
            )
            lines.append(check_in(60 * minute + number % 7, slug, status, number))
    lines.append(check_in(3550, "idle", "ok", 900))
    lines.append(control(3560, "set_monitor_status", project_id=1, monitor_slug="idle", status="disabled"))
    lines.append(control(3, "upsert_monitor", project_id=1, monitor_slug="dropped", monitor_config=EVERY_10))
    lines.append(control(3555, "reset", project_id=1, monitor_slug="idle"))
    lines.append(control(3580, "delete_monitor", project_id=1, monitor_slug="dropped"))
    lines += [pulse(60 * minute) for minute in range(61, 181)]
    lines.sort(key=lambda line: line["ts"])
    write_jsonl(folder / "in.jsonl", lines)
    ended = piped(
        folder / "data", "run", CRONWAX_SOURCE="file", CRONWAX_CHECKINS_PATH=str(folder / "in.jsonl")
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "data"


def rows(data, *arguments):
    return list(csv.DictReader(io.StringIO(piped(data, *arguments, "--csv").stdout)))


@pytest.mark.parametrize("question", ["status", "incidents", "muted", "lag"])
def test_an_answer_about_now_says_as_of_when_and_how_old_it_is(night, question):
    shown = COLOURS.sub("", seen(night, 120, question, "--zone", "Europe/Vienna"))
    assert re.match(r"as of 2025-03-03 04:00 CET, published \d+ s ago\n", shown)


def test_a_dead_flow_is_not_well(night):
    ended = piped(night, "health")
    assert ended.returncode == 1
    assert ended.stdout.startswith("unhealthy: the event clock is ")
    assert (
        piped(
            night, "health", "--max-clock-age", "0", "--max-partition-age", "0", "--min-disk-free", "0"
        ).returncode
        == 0
    )


def test_a_job_that_hung_and_never_came_again_is_overdue_since_the_first_run_that_never_came(night):
    (row,) = rows(night, "status", "hangs")
    # It began at 0:50 and timed out at 0:55; the run of 1:00 never came, and it is 3:00.
    assert (row["status"], row["overdue_by"]) == ("error", "2:00:00")


def test_status_says_what_is_muted_and_what_is_disabled(night):
    found = {row["slug"]: row for row in rows(night, "status")}
    assert found["quiet"]["notes"] == "muted"
    assert found["idle"]["status"] == "disabled"
    assert {row["slug"] for row in rows(night, "muted")} == {"quiet", "idle"}


def test_status_is_grouped_by_what_began_together(night):
    found = rows(night, "status")
    together = {row["slug"]: (row["began"], row["together"]) for row in found if row["together"]}
    assert together == dict.fromkeys(["gone-1", "gone-2"], ("2025-03-03T01:00:00Z", "2"))
    assert [row["slug"] for row in found[:2]] == ["gone-1", "gone-2"]
    shown = COLOURS.sub("", seen(night, 120, "status"))
    assert re.search(
        r"-- began 2025-03-03 01:00, together 2 *\n1 +gone-1 .*\n1 +gone-2 ", shown.replace("\u2500", "-")
    )


@pytest.mark.parametrize(
    ("option", "slugs"),
    [
        (["--owner", "team:gone"], {"gone-1", "gone-2"}),
        (["--search", "ONE-"], {"gone-1", "gone-2"}),
        (["--environment", "production", "quiet"], {"quiet"}),
        (["--project", "2"], set()),
        (["1/gone-1"], {"gone-1"}),
        (["--from", "2025-03-03T00:55", "--to", "2025-03-03T02:00"], {"gone-1", "gone-2", "idle"}),
    ],
)
def test_status_is_narrowed(night, option, slugs):
    assert {row["slug"] for row in rows(night, "status", *option)} == slugs


@pytest.mark.parametrize(
    "option", [["gone-1"], ["--project", "1", "--search", "gone-1"], ["--from", "2025-03-03T00:55"]]
)
def test_incidents_are_narrowed_by_slug_project_and_period(night, option):
    assert "gone-1" in {row["slug"] for row in rows(night, "incidents", *option)}
    assert "quiet" not in {row["slug"] for row in rows(night, "incidents", *option)}


def test_what_was_changed_is_a_question_and_by_what(night):
    (deleted,) = rows(night, "changes", "dropped")
    assert (deleted["what"], deleted["by_what"]) == ("delete_monitor", "control")
    _, reset, _ = rows(night, "changes", "idle")
    assert (reset["what"], reset["by_what"]) == ("reset", "control")
    muted, _ = rows(night, "changes", "quiet")
    assert (muted["what"], muted["now_is"], muted["by_what"]) == ("mute", "muted", "control")


def test_incidents_that_began_together_are_shown_together(night):
    (row, *_) = rows(night, "together")
    assert json.loads(row["monitors"]) == ["1/gone-1", "1/gone-2"]


def test_the_report_says_what_is_muted(night, tmp_path):
    piped(night, "report", "--out", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert re.search(r"quiet <small>1 [^<]*muted</small>", page)
    assert not re.search(r"gone-1 <small>1 [^<]*muted</small>", page)


def test_status_is_watched_until_ctrl_c(night, tmp_path):
    shutil.copytree(night, tmp_path / "data")
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "status", "--watch", "--every", "1"],
        env=variables(tmp_path / "data"),
        dimensions=(12, 100),
        encoding="utf-8",
        timeout=30,
    )
    child.expect("as of 2025-03-03 03:00")
    child.expect("gone-1")
    child.expect("as of 2025-03-03 03:00")
    with duckdb.connect(str(tmp_path / "data" / "next")) as connection:
        connection.execute(f"ATTACH '{tmp_path / 'data' / 'monitors.duckdb'}' AS shown (READ_ONLY)")
        connection.execute("COPY FROM DATABASE shown TO next")
        connection.execute("UPDATE snapshot_info SET event_clock = '2025-03-03 05:00:00+00'")
    os.replace(tmp_path / "data" / "next", tmp_path / "data" / "monitors.duckdb")
    child.expect("as of 2025-03-03 05:00")
    (tmp_path / "data" / "monitors.duckdb").unlink()
    child.expect("nothing published yet")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_what_is_watched_and_longer_than_the_terminal_says_so(demo):
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "status", "--watch"],
        env=variables(demo),
        dimensions=(12, 100),
        encoding="utf-8",
        timeout=30,
    )
    child.expect(r"\.\.\. and \d+ lines more\r\n")
    assert child.before.count("\n") <= 11
    child.sendintr()
    child.expect(pexpect.EOF)


def test_a_watched_answer_that_there_never_was_is_one_line(tmp_path):
    ended = piped(tmp_path, "status", "--watch")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)


def test_a_run_that_overlaps_with_the_one_before_is_a_question(troubles):
    found = rows(troubles, "overlaps", "search-reindex")
    assert found
    assert all(row["began"] > row["before_began"] for row in found)


def test_a_job_that_is_early_or_late_by_an_hour_is_a_question(troubles):
    found = rows(troubles, "timeline", "payroll-export", "--days", "7")
    runs = {(row["moment"][:16], row["expected_time"][:16]) for row in found if row["what"] == "ok"}
    assert ("2025-03-29T05:00", "2025-03-29T06:00") in runs


def test_why_says_of_an_end_when_it_was_and_when_the_run_began_that_incidents_names(troubles):
    (incident, *_) = rows(troubles, "incidents", "reconcile-ledger")
    began = incident["resolved"][:16].replace("T", " ")
    shown = piped(troubles, "why", "reconcile-ledger").stdout
    (ended,) = re.findall(r"was resolved at (\S+ \S+) UTC by the run that began at (\S+ \S+) UTC", shown)
    assert ended[1][:16] == began
    assert ended[0] > began


@pytest.fixture
def intake_flow(tmp_path):
    """A flow on an intake's log, with probes, in a process of its own."""
    (port,) = free_ports(1)
    data = tmp_path / "data"
    environment = variables(
        data,
        CRONWAX_SOURCE="intake",
        CRONWAX_PROBE_ADDRESS=f"127.0.0.1:{port}",
        CRONWAX_STALL_SECONDS="1",
        CRONWAX_PUBLISH_INTERVAL="0",
    )
    process = subprocess.Popen(
        [*COMMAND, "run", "-s", "1"], cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True
    )
    yield process, port, data
    process.kill()
    process.communicate()


def probe(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):  # it may end while it answers
        return None, ""


def wait_for(look):
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def test_probes_are_answered_and_a_moved_data_folder_is_noticed(intake_flow):
    process, port, data = intake_flow
    wait_for(lambda: probe(port, "/readyz")[0] == 200)
    assert probe(port, "/healthz")[0] == 200
    assert re.search(r"^cronwax_disk_free_bytes \d", probe(port, "/metrics")[1], re.MULTILINE)
    shutil.move(data, data.with_name("moved"))
    status, body = wait_for(lambda: (found := probe(port, "/healthz"))[0] != 200 and found)
    assert status is None or "is not the folder that was there at the start" in body
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err


def test_a_disk_that_fills_is_a_metric_and_an_alert():
    rules = (PROJECT / "docs" / "alerts.yml").read_text(encoding="utf-8")
    assert "predict_linear(cronwax_disk_free_bytes[6h], 86400) < 0" in rules


def test_a_flow_that_hangs_is_answered_for(intake_flow):
    _, port, data = intake_flow
    wait_for(lambda: probe(port, "/readyz")[0] == 200)
    # Opening a pipe to read waits for its writer: the flow's worker, which takes it for the log's next segment, hangs.
    os.mkfifo(segment_path(data / "intake" / partition_name(0), 5))
    status, body = wait_for(lambda: (found := probe(port, "/healthz"))[0] not in (200, None) and found)
    assert status == 503
    assert re.search(r"no input has been asked for \d+ s", body)
    assert probe(port, "/readyz")[0] == 503
    assert probe(port, "/metrics")[0] == 200


def test_lag_says_how_much_is_not_read_yet(intake_flow):
    _, port, data = intake_flow
    wait_for(lambda: probe(port, "/readyz")[0] == 200)
    wait_for(lambda: rows(data, "lag"))
    assert {row["unread_bytes"] for row in rows(data, "lag")} == {"0"}
