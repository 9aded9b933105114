"""`serve` with a route of two lines: a failing curl becomes a message."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from state.errors import StateError
from state.publish.snapshot import open_snapshot
from tests.intake.running import Machine, children_of, wait_for
from tests.notify.places import titles
from tests.notify.receivers import Receiver

pytestmark = pytest.mark.process


@pytest.fixture
def machine(tmp_path) -> Iterator[Machine]:
    found = Machine(tmp_path, publish_interval=5)
    yield found
    found.close()


def route(machine: Machine, receiver: Receiver) -> None:
    (machine.data / "notify.toml").write_text(
        f'[targets.ops]\ntype = "webhook"\nurl = "{receiver.url}"\n[[routes]]\ntargets = ["ops"]\n'
    )


def test_a_failing_curl_is_notified_and_its_recovery_too(machine: Machine, receiver: Receiver):
    route(machine, receiver)
    del machine.variables["CRONWAX_PROJECTS_PATH"]
    process = machine.serve()
    [curl] = wait_for(lambda: re.findall(r"try: (curl .*)", machine.said()))
    wait_for(lambda: "notify_caught_up" in machine.said())
    sent_at = time.monotonic()
    subprocess.run(curl.replace("status=ok", "status=error"), shell=True, check=True)
    wait_for(lambda: receiver.taken)
    print(f"sent {time.monotonic() - sent_at:.1f} s after the curl")
    subprocess.run(curl, shell=True, check=True)
    wait_for(lambda: len(receiver.taken) == 2)
    assert titles(receiver) == ["nightly (production) failed", "nightly (production) recovered"]
    assert machine.stop(process) == 0
    said = machine.said()
    assert "notify | " in said
    assert "Traceback" not in said


def published(machine: Machine, query: str) -> list[tuple[object, ...]]:
    try:
        with open_snapshot(machine.data) as connection:
            return connection.execute(query).fetchall()
    except StateError:
        return []


def test_what_a_snooze_holds_is_notified_when_it_is_ended_and_all_of_it_is_published(
    machine: Machine, receiver: Receiver
):
    route(machine, receiver)
    process = machine.serve()
    wait_for(lambda: "notify_caught_up" in machine.said())
    assert machine.cron("known", "status=ok&schedule=1+day") == 202
    snooze = ("snooze", "--project", "42", "--slug", "known", "--for", "4h", "--id", "z", "--who", "ann")
    wait_for(lambda: published(machine, "SELECT slug FROM monitors"))
    send(machine, *snooze)
    wait_for(lambda: published(machine, "SELECT silence_id FROM silenced_environments") == [("z",)])
    assert machine.cron("known", "status=error") == 202
    assert machine.cron("other", "status=error&schedule=1+day") == 202
    wait_for(lambda: receiver.taken)
    wait_for(lambda: len(published(machine, "SELECT * FROM incidents")) == 2)
    assert titles(receiver) == ["other (production) failed"]
    send(machine, "end-silence", "--project", "42", "--id", "z")
    wait_for(lambda: len(receiver.taken) == 2)
    assert titles(receiver)[1] == "known (production) failed"
    wait_for(
        lambda: (
            published(machine, "SELECT slug, outcome FROM notifications ORDER BY sent_at")
            == [("other", "sent"), ("known", "sent")]
        )
    )
    assert machine.stop(process) == 0


def send(machine: Machine, *arguments: str) -> None:
    command = [sys.executable, "-P", "-m", "cronwax", "send", "control", *arguments]
    subprocess.run(command, env=machine.variables, check=True, capture_output=True)


def test_the_link_in_a_message_acknowledges_its_incident(machine: Machine, receiver: Receiver):
    route(machine, receiver)
    path = machine.data / "notify.toml"
    path.write_text(f'acknowledge = "http://127.0.0.1:{machine.port}"\n{path.read_text()}')
    process = machine.serve()
    wait_for(lambda: "notify_caught_up" in machine.said())
    assert machine.cron("nightly", "status=error&schedule=1+day") == 202
    wait_for(lambda: receiver.taken)
    [link] = re.findall(r"Acknowledge: http://[^/]+(/\S+)", receiver.bodies[0]["text"])
    status, page = machine.get(link)
    assert (status, b"nightly (production)" in page) == (200, True)
    assert machine.get(link[:-1] + "x")[0] == 404
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert machine.request("POST", link, b"who=ann&note=on+it", form)[0] == 200
    query = "SELECT slug, who, note FROM acknowledgements"
    wait_for(lambda: published(machine, query) == [("nightly", "ann", "on it")])
    code = link.rpartition("/")[2]
    assert code not in machine.said()
    assert code.encode() not in (machine.data / "notify" / "ledger.sqlite3").read_bytes()
    assert machine.stop(process) == 0


def test_a_notifier_that_is_killed_is_started_again_and_the_others_do_not_notice(
    machine: Machine, receiver: Receiver
):
    route(machine, receiver)
    process = machine.serve()
    wait_for(lambda: "notify_caught_up" in machine.said())
    before = children_of(process)
    os.kill(before["notify"], signal.SIGKILL)
    assert machine.cron("job", "status=error&schedule=1+day") == 202
    wait_for(lambda: receiver.taken)
    after = children_of(process)
    assert after["notify"] != before["notify"]
    assert (after["flow"], after["intake"]) == (before["flow"], before["intake"])
    assert machine.stop(process) == 0


def test_without_a_routes_file_there_is_no_notifier(machine: Machine):
    process = machine.serve()
    wait_for(lambda: len(children_of(process)) == 2)
    assert set(children_of(process)) == {"flow", "intake"}
    assert machine.stop(process) == 0


def test_a_mistake_in_the_routes_file_stops_the_start_with_its_line(machine: Machine):
    (machine.data / "notify.toml").write_text("storm_size = 0\n")
    process = machine.serve()
    assert process.wait(60) == 1
    last = machine.said().splitlines()[-1]
    assert last.startswith("cronwax: notify cannot start: ")
    assert "notify.toml: line 1: storm_size: " in last
