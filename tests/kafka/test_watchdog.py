"""The flow, with its metrics and its watchdog, on a real broker."""

import json
import signal
import time
import urllib.request

import msgspec
import pytest
from confluent_kafka import Producer

from dataflow.connectors.announcer import Announcer
from dataflow.wire.stalls import Stall
from tests.kafka.topics import PATIENCE_SECONDS, headers, read, send, value_of
from tests.processes import end, free_ports, make_store, start
from tests.processes import settings as environment

pytestmark = pytest.mark.kafka

OLD_MS = 1_740_960_000_000
"""The time of the first messages, in 2025."""
OLD = OLD_MS / 1000


def wait_for(look):
    """Look until something is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


class Flow:
    """The flow in a process of its own, with its metrics."""

    def __init__(self, settings, folder):
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
        (self._port,) = free_ports(1)
        variables = environment(**given, data_dir=folder / "data") | {
            "BYTEWAX_DATAFLOW_API_ENABLED": "1",
            "BYTEWAX_DATAFLOW_API_PORT": str(self._port),
            "BYTEWAX_DATAFLOW_API_CACHE_PATH": str(folder),
        }
        self.stalled = folder / "data" / "stalled"
        self._process = start(variables, "-r", make_store(folder / "store"), "-s", 1, "-b", 0)

    def metric(self, sample):
        """A metric's value; None if it is not there (yet)."""
        assert self._process.poll() is None, end(self._process)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), None)

    def stop(self):
        """Its log, once it has ended in order."""
        self._process.send_signal(signal.SIGTERM)
        ended = end(self._process)
        assert ended.status == 0, ended.err
        return ended.err.splitlines()

    def leave_nothing_behind(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def flow_of(tmp_path):
    flows = []

    def make(settings):
        flows.append(Flow(settings, tmp_path))
        return flows[-1]

    yield make
    for flow in flows:
        flow.leave_nothing_behind()


def sent(broker, settings, subject):
    """The messages about something, in order."""
    found = []
    for message in read(broker.bootstrap, settings.occurrences_topic):
        body = json.loads(value_of(message))
        if body.get("subject") == subject:
            assert (message.key(), headers(message)["id"]) == (b"cronwax", body["id"].encode())
            found.append(body)
    return found


def test_a_flow_that_is_blind_says_so_and_once_more_when_it_sees(real_broker, settings_for, flow_of):
    settings = settings_for(real_broker, stall_seconds=3)
    topic = settings.checkins_topic
    send(real_broker.bootstrap, topic, 0, [(OLD_MS, b"x")])
    blinding = Producer({"bootstrap.servers": real_broker.bootstrap, "transactional.id": topic})
    blinding.init_transactions(PATIENCE_SECONDS)
    blinding.begin_transaction()
    # Until it is committed, nobody knows what this partition still holds.
    blinding.produce(topic, b"y", partition=0, timestamp=OLD_MS)
    blinding.flush(PATIENCE_SECONDS)
    flow = flow_of(settings)
    wait_for(lambda: flow.metric('cronwax_stalled{subject="event clock"}'))
    wait_for(lambda: (flow.metric("cronwax_event_clock_age_seconds") or 0) > 1e6)
    wait_for(lambda: sent(real_broker, settings, "event clock"))
    blinding.commit_transaction(PATIENCE_SECONDS)
    wait_for(lambda: len(sent(real_broker, settings, "event clock")) == 2)
    wait_for(lambda: len(sent(real_broker, settings, f"{topic}/0")) == 2)
    assert flow.metric('cronwax_stalled{subject="event clock"}') == 0
    for subject, kind in (("event clock", "clock"), (f"{topic}/0", "partition")):
        stalled, recovered = sent(real_broker, settings, subject)
        assert stalled["payload_type"] == f"{kind}_stalled"
        assert recovered["payload_type"] == f"{kind}_recovered"
        assert stalled["since"] == recovered["since"] == OLD
        assert stalled["id"] != recovered["id"]
    wait_for(lambda: not (flow.stalled / "event%20clock.json").exists())
    log = flow.stop()
    events = [part for line in log for part in line.split() if part.startswith("event=")]
    assert (events[0], events[-1]) == ("event=start", "event=stop")
    assert {"event=stalled", "event=recovered"} <= set(events)


def test_metrics_tell_what_the_flow_does(real_broker, settings_for, flow_of):
    settings = settings_for(real_broker, publish_interval=0)
    topic = settings.checkins_topic
    flow = flow_of(settings)
    now_ms = int(time.time() * 1000)
    payload = b'{"check_in_id": "%032x", "monitor_slug": "m", "status": "%s", "monitor_config": %s}'
    config = b'{"schedule": {"type": "interval", "value": 1, "unit": "day"}}'
    packed = []
    for number, status in enumerate((b"ok", b"error"), 1):
        body = payload % (number, status, config)
        packed.append(pack(body, now_ms / 1000))
    send(real_broker.bootstrap, topic, 0, [(now_ms, value) for value in (*packed, b"no message")])
    wait_for(lambda: flow.metric("cronwax_incidents_open"))
    expected = {
        'cronwax_check_ins_total{status="ok"}': 1,
        'cronwax_check_ins_total{status="error"}': 1,
        'cronwax_processing_errors_total{type="MALFORMED_MESSAGE"}': 1,
        "cronwax_incidents_opened_total": 1,
        "cronwax_incidents_open": 1,
        'cronwax_messages_total{payload_type="occurrence"}': 1,
        "cronwax_dead_letters_total": 1,
        f'cronwax_partition_lag_messages{{partition="0",topic="{topic}"}}': 0,
        'cronwax_stalled{subject="event clock"}': 0,
    }
    assert {name: flow.metric(name) for name in expected} == expected
    assert flow.metric("cronwax_published_bytes") > 0
    assert flow.metric("cronwax_publish_seconds_count") >= 1
    assert flow.metric('cronwax_sink_snapshot_seconds_count{sink="tables"}') >= 1
    flow.stop()


def pack(body, start_time):
    message = {"message_type": "check_in", "payload": body, "start_time": start_time, "project_id": 1}
    return msgspec.msgpack.encode({**message, "sdk": None, "retention_days": 90})


def test_what_is_notified_calls_back_once_it_is_in_the_topic(broker, settings_for):
    settings = settings_for(broker)
    announcer = Announcer(settings)
    delivered = []
    stall = Stall("sink", "tables", OLD_MS * 1000, OLD_MS * 1000, 120.0, is_over=True)
    announcer.send(stall, lambda: delivered.append(stall))

    def is_delivered():
        announcer.poll()
        return bool(delivered)

    wait_for(is_delivered)
    (body,) = sent(broker, settings, "tables")
    assert body["payload_type"] == "sink_recovered"
