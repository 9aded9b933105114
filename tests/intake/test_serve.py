"""`serve`: one command, from the first start to its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from functools import partial

import pytest

from tests.intake.running import (
    CRONWAX,
    KEY,
    PING_KEY,
    assert_as_undisturbed,
    children_of,
    envelope,
    wait_for,
)
from tests.processes import PROJECT

pytestmark = pytest.mark.process


def test_check_ins_of_every_kind_come_to_the_tables(machine):
    process = machine.serve()
    body, headers = envelope(
        {"check_in_id": "a" * 32, "monitor_slug": "From Envelope", "status": "in_progress",
         "monitor_config": {"schedule": {"type": "interval", "value": 1, "unit": "hour"}}},
        {"check_in_id": None, "monitor_slug": "x", "status": "ok"},
    )  # fmt: skip
    assert machine.request("POST", "/api/42/envelope/", body, headers) == (200, b"{}")
    assert machine.cron("from-cron", "status=error&schedule=every+5+minutes") == 202
    assert machine.get(f"/ping/{PING_KEY}/from-ping?create=1")[0] == 200
    line = {
        "ts": 1,
        "message": {"payload": {"check_in_id": "b" * 32, "monitor_slug": "from-cron", "status": "ok"}},
    }
    answer = machine.request("POST", "/api/42/check-ins/", json.dumps(line).encode(), headers)
    assert answer == (202, b'{"accepted":1}')
    machine.wait_for_rows("FROM check_ins", 4)
    statuses = dict(
        machine.rows("SELECT slug, status FROM check_ins WHERE check_in_id != repeat('b', 32)::UUID")
    )
    assert statuses == {"from-envelope": "in_progress", "from-cron": "error", "from-ping": "ok"}
    [(types, errors)] = machine.wait_for_rows("SELECT error_types, errors FROM processing_errors", 1)
    assert types == ["CHECKIN_DROPPED"]
    assert "check_in_id is not a UUID" in errors
    wait_for(lambda: machine.get("/readyz")[0] == 200)
    occurrences = (machine.data / "occurrences.jsonl").read_text()
    assert "Monitor failure: from-cron" in occurrences
    assert machine.stop(process) == 0
    said = machine.said()
    assert "intake |" in said
    assert "flow   |" in said
    assert "Traceback" not in said


def test_a_control_goes_the_same_way(machine):
    process = machine.serve()
    assert machine.cron("job", "status=ok&schedule=1+day") == 202
    machine.wait_for_rows("FROM monitors WHERE status = 'active'", 1)
    command = (
        *CRONWAX,
        "send",
        "control",
        "set-monitor-status",
        "--project",
        "42",
        "--slug",
        "job",
        "--status",
        "disabled",
    )
    sent = subprocess.run(command, env=machine.variables, capture_output=True, text=True, check=False)
    assert sent.returncode == 0, sent.stderr
    machine.wait_for_rows("FROM monitors WHERE status = 'disabled'", 1)
    assert machine.cron("job") == 202
    machine.wait_for_rows("FROM processing_errors WHERE list_contains(error_types, 'MONITOR_DISABLED')", 1)
    assert machine.stop(process) == 0


def test_a_first_start_makes_a_project_and_says_how_to_send(machine):
    del machine.variables["CRONWAX_PROJECTS_PATH"]
    process = machine.serve()
    said = wait_for(lambda: machine.said() if "try: curl" in machine.said() else None)
    [curl] = re.findall(r"try: (curl .*)", said)
    ran = subprocess.run(
        f"{curl} -s -o /dev/null -w '%{{http_code}}'", shell=True, capture_output=True, check=True
    )
    assert ran.stdout == b"202"
    [dsn] = re.findall(r"DSN of project 1: (\S+)", said)
    assert re.fullmatch(rf"http://[0-9a-f]{{32}}@127\.0\.0\.1:{machine.port}/1", dsn)
    assert (machine.data / "projects.json").stat().st_mode & 0o777 == 0o600
    machine.wait_for_rows("FROM monitors WHERE slug = 'nightly'", 1)
    assert machine.stop(process, signal.SIGINT) == 0


def test_a_part_that_is_killed_is_started_again_and_nothing_is_lost(machine):
    process = machine.serve()
    assert machine.cron("job", "status=ok&schedule=1+day") == 202
    machine.wait_for_rows("FROM check_ins", 1)
    for name in ("flow", "intake"):
        os.kill(wait_for(partial(_child, process, name)), signal.SIGKILL)
        wait_for(partial(_has_said, machine, f"{name} died of SIGKILL"))
        wait_for(machine.is_up)
        assert machine.cron("job") == 202
    machine.wait_for_rows("FROM check_ins", 3)
    assert machine.stop(process) == 0


def _child(process, name):
    return children_of(process).get(name)


def _has_said(machine, text):
    return text in machine.said()


def test_a_part_that_cannot_start_ends_the_command_with_its_reason(machine):
    machine.projects.write_text("nonsense")
    process = machine.serve()
    assert process.wait(30) == 1
    assert machine.said().splitlines()[-1].startswith("cronwax: ")
    assert "projects.json" in machine.said()
    assert "Traceback" not in machine.said()


def test_a_port_that_is_taken_is_one_line(machine, machines):
    machine.intake()
    other = machines(intake_port=machine.port)
    process = other.start(*machine.running[0].args)  # the same command
    assert process.wait(30) == 2
    assert other.said().startswith(
        f"cronwax: cannot listen at 127.0.0.1:{machine.port}: Address already in use"
    )


def test_ready_says_when_the_flow_has_stalled(machines):
    machine = machines(stall_seconds=1.5)
    machine.intake()
    assert machine.get("/readyz") == (200, b"ready\n")
    _, why = wait_for(lambda: (found := machine.get("/readyz"))[0] == 503 and found)
    assert b"flow has stalled" in why
    assert machine.cron("job") == 202
    flow = machine.flow()
    wait_for(lambda: machine.get("/readyz")[0] == 200)
    machine.stop(flow)


def test_keys_are_in_no_log(machine):
    process = machine.serve()
    machine.cron("job")
    machine.get(f"/ping/{PING_KEY}/job/nonsense")
    machine.get("/api/42/cron/x/y/")
    assert machine.stop(process) == 0
    said = "".join(
        line for line in machine.said().splitlines(True) if "try: curl" not in line and "DSN" not in line
    )
    assert KEY not in said
    assert PING_KEY not in said


def test_a_change_of_the_projects_file_counts_at_once_and_a_faulty_one_not(machine):
    machine.intake()
    assert machine.cron("job") == 202
    machine.projects.write_text("nonsense")

    def is_refused():
        assert machine.cron("job") == 202
        return "event=projects_refused" in machine.said()

    wait_for(is_refused)
    assert machine.cron("job") == 202
    machine.projects.write_text('{"42": {"keys": ["%s"]}}' % ("f" * 32))
    wait_for(lambda: machine.cron("job") == 403)


def test_a_copy_of_the_log_gives_the_same_tables(machine, tmp_path):
    intake, flow = machine.intake(), machine.flow()
    for number in range(60):
        slug = f"job-{number % 7}"
        query = "status=ok&schedule=*+*+*+*+*" if number % 3 else "status=error&schedule=1+hour"
        assert machine.cron(slug, query) == 202
        assert machine.get(f"/ping/{PING_KEY}/{slug}/start")[0] == 200
        assert machine.cron(slug, "status=ok&check_in_id=nonsense") == 400
    machine.wait_for_rows("FROM processing_errors", 60)  # each comes last of its partition
    assert machine.stop(intake) == 0
    assert machine.stop(flow) == 0
    assert_as_undisturbed(machine, tmp_path)


@pytest.mark.parametrize("command", ["serve", "intake"])
def test_the_commands_are_in_run_sh(command):
    shown = subprocess.run(
        ["./run.sh", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert f"\n  {command}" in shown


def test_a_killed_serve_takes_its_parts_along_and_can_be_started_again(machine):
    first = machine.serve()
    assert machine.cron("nightly", "status=ok&schedule=1+day") == 202
    machine.wait_for_rows("FROM check_ins", 1)
    machine.stop(first, signal.SIGKILL)
    machine.serve()
    assert machine.cron("nightly", "status=ok") == 202
    machine.wait_for_rows("FROM check_ins", 2)
    wait_for(lambda: machine.said().count("event=start ") == 2)
    assert "another flow" not in machine.said()
