"""What a process says of itself to probes, and that it says it while the flow hangs."""

from __future__ import annotations

import http.client
import json
import shutil
import threading

import pytest

from dataflow.monitors.check_in import MINUTE_US
from dataflow.operations import metrics as _metrics  # noqa: F401 - in the registry from now on
from dataflow.operations.probes import Probes, serve_probes
from dataflow.operations.vitals import SECOND_US, Vitals
from dataflow.process.exit import StartError
from dataflow.settings import Settings, SettingsError
from tests.processes import free_ports

MINUTE = 29_000_000
AT_US = MINUTE * MINUTE_US


class Clock:
    def __init__(self):
        self.now_us = AT_US

    def __call__(self):
        return self.now_us


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vitals(clock):
    return Vitals(Settings(kafka_idle_allowance_seconds=0), clock)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def probes(vitals, folder):
    return Probes(vitals, 120, folder, lambda: False, lambda: True)


def works(vitals, clock, seconds=0.0):
    """A partition is asked, its clock in step, and a sink finishes an epoch."""
    clock.now_us = AT_US + int(seconds * SECOND_US)
    vitals.partition("ingest-monitors", 0, 0, clock.now_us // MINUTE_US)
    vitals.sink_takes("tables")
    vitals.sink_finished("tables")


def test_a_process_that_has_only_begun_is_healthy_and_not_ready(vitals, folder, clock):
    """A source may be asked while sinks are still being opened."""
    probes = Probes(vitals, 120, folder, lambda: False, lambda: False)
    works(vitals, clock)
    assert probes.unhealthy(clock.now_us) == []
    assert probes.unready(clock.now_us) == ["no epoch has ended yet"]


def test_a_flow_that_works_is_healthy_and_ready(probes, vitals, clock):
    works(vitals, clock)
    assert probes.unhealthy(clock.now_us) == probes.unready(clock.now_us) == []


def test_a_flow_that_asks_for_no_more_input_is_unhealthy(probes, vitals, clock):
    works(vitals, clock)
    assert probes.unhealthy(AT_US + 120 * SECOND_US) == []
    assert probes.unhealthy(AT_US + 121 * SECOND_US) == ["no input has been asked for 121 s"]


def test_a_sink_that_owes_its_output_for_too_long_is_unhealthy(probes, vitals, clock):
    works(vitals, clock)
    vitals.sink_takes("occurrences")
    works(vitals, clock, 300)
    assert probes.unhealthy(clock.now_us) == ["occurrences has owed its output for 300 s"]


def test_a_clock_that_is_behind_is_healthy_and_not_ready(probes, vitals, clock):
    works(vitals, clock)
    clock.now_us += 600 * SECOND_US
    vitals.partition("ingest-monitors", 0, 10_000, MINUTE)
    assert probes.unhealthy(clock.now_us) == []
    assert probes.unready(clock.now_us) == ["ingest-monitors/0 is 540 s behind"]


def test_a_flow_that_stops_is_not_ready(vitals, folder, clock):
    works(vitals, clock)
    stopping = Probes(vitals, 120, folder, lambda: True, lambda: True)
    assert stopping.unready(clock.now_us) == ["it is stopping"]
    assert stopping.unhealthy(AT_US + 3600 * SECOND_US) == []


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_data_folder_that_was_moved_away_is_noticed(probes, vitals, folder, clock, is_replaced):
    works(vitals, clock)
    shutil.move(folder, folder.with_name("elsewhere"))
    if is_replaced:
        folder.mkdir()
    assert probes.unhealthy(clock.now_us) == [f"{folder} is not the folder that was there at the start"]


@pytest.fixture
def served(vitals, folder):
    (port,) = free_ports(1)
    probes = Probes(vitals, 1e9, folder, lambda: False, lambda: bool(vitals.signs(0)))
    end = serve_probes(f"127.0.0.1:{port}", probes)
    yield port
    end()


def asked(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_answers_are_a_status_and_the_problems(served, vitals, clock):
    assert asked(served, "/healthz") == (200, '{"ok": true, "problems": []}\n')
    status, body = asked(served, "/readyz?verbose")
    assert (status, json.loads(body)["problems"]) == (503, ["no epoch has ended yet"])
    works(vitals, clock)
    assert asked(served, "/readyz")[0] == 200
    assert asked(served, "/healthz", "HEAD") == (200, "")
    assert asked(served, "/") == (404, "/healthz, /readyz and /metrics are here\n")
    status, metrics = asked(served, "/metrics")
    assert status == 200
    assert "cronwax_incidents_open" in metrics


def test_a_thread_that_hangs_keeps_no_probe_waiting(served):
    release = threading.Event()
    flow = threading.Thread(target=release.wait)
    flow.start()
    assert asked(served, "/healthz")[0] == 200
    release.set()
    flow.join()


def test_a_client_that_says_nothing_keeps_no_other_waiting(served):
    silent = http.client.HTTPConnection("127.0.0.1", served, timeout=10)
    silent.connect()
    assert asked(served, "/healthz")[0] == 200
    silent.close()


def test_an_address_in_use_is_one_line(served, vitals, folder):
    with pytest.raises(StartError, match=r"CRONWAX_PROBE_ADDRESS: 127\.0\.0\.1:\d+: Address already in use"):
        serve_probes(f"127.0.0.1:{served}", Probes(vitals, 120, folder))


@pytest.mark.parametrize(
    "address", ["3031", ":3031", "localhost", "localhost:", "localhost:http", "localhost:70000"]
)
def test_an_address_that_is_none_is_refused(monkeypatch, address):
    monkeypatch.setenv("CRONWAX_PROBE_ADDRESS", address)
    with pytest.raises(SettingsError, match=r"^CRONWAX_PROBE_ADDRESS: must be HOST:PORT, such as 127"):
        Settings.load()
