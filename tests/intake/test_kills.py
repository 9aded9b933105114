"""kill -9 of intake, flow, or both, at random moments under load: what was answered 2xx is there, exactly once."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from itertools import count

import pytest

from tests.intake.running import KEY, Machine, assert_as_undisturbed, wait_for

pytestmark = pytest.mark.process

KILLS = 30 if os.environ.get("CRONWAX_TEST_FULL") == "1" else 6
KINDS = (("intake",), ("flow",), ("intake", "flow"))
"""Who is killed: each kind as often as the others."""
MOST_BETWEEN_KILLS = 400
"""So many are answered at most between two kills."""
SENDERS = 4
JOBS = 40


class Load:
    """Sends runs of jobs, each a check-in with a guid of its own; remembers what was answered 2xx."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ended = threading.Event()
        self.taken: dict[str, tuple[str, str]] = {}
        """By guid: job and status."""
        self.unsure: set[str] = set()
        """What was not answered: it may be there, or not."""
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more were answered 2xx."""
        enough = len(self.taken) + count
        wait_for(lambda: len(self.taken) >= enough)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        rng, connection = random.Random(number), None
        for step in count():
            if self._ended.is_set():
                return
            job, guid = f"job-{(step * SENDERS + number) % JOBS}", uuid.UUID(int=rng.getrandbits(128))
            status = "error" if rng.random() < 0.3 else "ok"
            path = f"/api/42/cron/{job}/{KEY}/?status={status}&check_in_id={guid}&schedule=1+day"
            try:
                connection = connection or http.client.HTTPConnection(
                    "127.0.0.1", self._machine.port, timeout=5
                )
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.unsure.add(str(guid))
                connection = None
                time.sleep(0.05)
                continue
            if answer.status == 202:
                self.taken[str(guid)] = job, status
            else:
                assert (
                    answer.status == 503
                )  # a disk that others keep busy for a second; it may be written yet
                self.unsure.add(str(guid))
            time.sleep(0.005)


def assert_all_is_there_once(machine: Machine, load: Load) -> None:
    """Compare the tables with what was answered."""
    taken = load.taken
    guids = [guid for guid, _, _ in wait_for(lambda: _found(machine, len(taken)), 120, 0.5)]
    assert len(guids) == len(set(guids))
    found = {guid: (slug, status) for guid, slug, status in _found(machine, 0)}
    assert {guid: found.get(guid) for guid in taken} == taken
    assert set(found) <= set(taken) | load.unsure


def _found(machine: Machine, at_least: int) -> list[tuple[str, str, str]]:
    rows = machine.rows("SELECT check_in_id::VARCHAR, slug, status FROM check_ins WHERE status != 'missed'")
    return rows if len(rows) >= at_least else []


@pytest.mark.parametrize("seed", [1])
def test_what_was_answered_is_there_once_however_often_all_is_killed(machine, tmp_path, seed):
    rng = random.Random(seed)
    parts: dict[str, subprocess.Popen[bytes]] = {"intake": machine.intake(), "flow": machine.flow()}
    load = Load(machine)
    try:
        for names in rng.sample(KINDS * (KILLS // len(KINDS)), KILLS):
            load.wait_for_more(rng.randrange(10, MOST_BETWEEN_KILLS))
            for name in names:
                parts[name].send_signal(signal.SIGKILL)
            for name in names:
                parts[name].wait()
                parts[name] = machine.intake() if name == "intake" else machine.flow()
        load.wait_for_more(MOST_BETWEEN_KILLS)
    finally:
        load.end()
    assert len(load.taken) > 20 * KILLS
    assert_all_is_there_once(machine, load)
    for process in parts.values():
        assert machine.stop(process) == 0
    assert "Traceback" not in machine.said()
    assert_as_undisturbed(machine, tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs: run as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_503_and_afterwards_nothing_that_was_answered_is_missing(small_disk, tmp_path):
    machine = Machine(small_disk)
    machine.log = tmp_path / "log.txt"
    try:
        intake = machine.intake()
        assert machine.cron("before", "status=ok&schedule=1+day") == 202
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        answers = [
            machine.cron("full", f"status=ok&schedule=1+day&check_in_id={uuid.uuid4()}") for _ in range(300)
        ]
        assert set(answers) <= {202, 503}
        assert answers[-1] == 503
        assert machine.get("/readyz")[0] == 503
        assert machine.get("/healthz")[0] == 200
        ballast.unlink()
        wait_for(lambda: machine.cron("after", "status=ok&schedule=1+day") == 202)
        assert machine.get("/readyz")[0] == 200
        flow = machine.flow()
        machine.wait_for_rows("FROM check_ins WHERE slug = 'after'", 1)
        assert len(machine.rows("FROM check_ins WHERE slug = 'full'")) == answers.count(202)
        assert machine.rows("FROM processing_errors") == []
        assert "Traceback" not in machine.said()
        machine.stop(intake)
        machine.stop(flow)
    finally:
        machine.close()
