import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dataflow.connectors.kafka_sinks import DeadLettersSink
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.stream.items import DeadLetter
from dataflow.wire.check_ins import CheckInDecoder, Place
from tests.kafka.topics import PATIENCE_SECONDS, read, send, value_of

pytestmark = pytest.mark.kafka

PROJECT = Path(__file__).resolve().parents[2]
GUID = "0e17a2aa-2e16-4d06-a816-eace3e33a010"
PLACE = Place("t", 0, 0, 2**60, NO_MINUTE)


def environment(settings):
    names = (
        "kafka_bootstrap_servers",
        "checkins_topic",
        "controls_topic",
        "occurrences_topic",
        "dead_letter_topic",
    )
    given = {f"CRONWAX_{name.upper()}": str(getattr(settings, name)) for name in names}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRONWAX_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **given}


def run_send(settings, *arguments, stdin="", **more):
    command = [sys.executable, "-m", "cronwax", "send", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=environment(settings) | more,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def check_in(*arguments):
    return ("check-in", "--project", 1, "--slug", "nightly", "--status", "ok", *arguments)


def test_what_is_sent_is_in_the_topic_where_it_says(broker, settings_for):
    settings = settings_for(broker)
    sent = run_send(settings, *check_in("--guid", GUID))
    assert (sent.returncode, sent.stderr) == (0, "")
    (message,) = read(broker.bootstrap, settings.checkins_topic)
    place = f"{settings.checkins_topic}/{message.partition()}"
    assert sent.stdout == f"check-in {GUID} sent to {place} at offset 0\n"
    found = CheckInDecoder({}).packed(value_of(message), PLACE)
    assert found is not None
    assert found.guid.hex() == GUID.replace("-", "")


def test_a_control_goes_to_the_topic_of_controls(broker, settings_for):
    settings = settings_for(broker)
    sent = run_send(settings, "control", "mute", "--project", 1, "--slug", "m", "--muted", "true")
    assert sent.returncode == 0, sent.stderr
    (message,) = read(broker.bootstrap, settings.controls_topic)
    assert json.loads(value_of(message)) == {
        "type": "mute",
        "project_id": 1,
        "monitor_slug": "m",
        "muted": True,
    }


def lines(count, ts):
    for number in range(count):
        payload = {"check_in_id": f"{number:032x}", "monitor_slug": f"m{number % 10}", "status": "ok"}
        message = {"message_type": "check_in", "project_id": 1, "start_time": ts, "payload": payload}
        yield json.dumps({"ts": ts + number, "message": message}) + "\n"


def test_a_recording_keeps_a_monitor_in_one_partition_in_order_and_its_times(broker, settings_for):
    settings = settings_for(broker)
    recording = (
        "".join(lines(200, 1_740_960_000)) + '{"ts": 1740970000, "message": {"message_type": "clock_pulse"}}'
    )
    sent = run_send(settings, "lines", "--keep-ts", stdin=recording)
    assert sent.returncode == 0, sent.stderr
    partitions: dict[str, set[Any]] = {}
    order: dict[str, list[Any]] = {}
    pulses = []
    for message in read(broker.bootstrap, settings.checkins_topic):
        found = CheckInDecoder({}).packed(value_of(message), PLACE)
        if found is None:
            pulses.append((message.partition(), message.timestamp()[1]))
            continue
        number = int(found.guid.hex(), 16)
        assert message.timestamp()[1] == (1_740_960_000 + number) * 1000
        partitions.setdefault(found.slug, set()).add(message.partition())
        order.setdefault(found.slug, []).append(number)
    assert order == {f"m{digit}": list(range(digit, 200, 10)) for digit in range(10)}
    assert {len(found) for found in partitions.values()} == {1}
    assert pulses == [(partition, 1_740_970_000_000) for partition in range(4)]


def test_a_recording_without_keep_ts_is_of_the_present(broker, settings_for):
    settings = settings_for(broker)
    before_ms = time.time_ns() // 1_000_000
    run_send(settings, "lines", stdin="".join(lines(1, 1_740_960_000)))
    (message,) = read(broker.bootstrap, settings.checkins_topic)
    assert message.timestamp()[1] >= before_ms


def test_a_bad_line_ends_it_behind_what_was_good(broker, settings_for):
    settings = settings_for(broker)
    sent = run_send(settings, "lines", stdin="".join(lines(3, 1_740_960_000)) + "nonsense\n")
    assert (sent.returncode, sent.stderr.count("\n")) == (1, 1)
    assert sent.stderr.startswith("cronwax: line 4: ")
    assert len(read(broker.bootstrap, settings.checkins_topic)) == 3


@pytest.mark.parametrize(("kind", "said"), [("LogAppendTime", "LogAppendTime"), ("CreateTime", "")])
def test_a_topic_that_keeps_its_own_times_is_told(real_broker, settings_for, new_topic, kind, said):
    topic = new_topic(real_broker, 1, **{"message.timestamp.type": kind})
    settings = settings_for(real_broker, checkins_topic=topic)
    sent = run_send(settings, "lines", "--keep-ts", stdin="".join(lines(1, 1_740_960_000)))
    assert sent.returncode == 0
    assert said in sent.stderr
    assert bool(said) == bool(sent.stderr)


def test_a_missing_topic_is_one_line_without_secrets(real_broker, settings_for):
    settings = settings_for(real_broker, checkins_topic="there-is-none")
    sent = run_send(settings, *check_in(), CRONWAX_KAFKA_CONFIG='{"sasl.password": "open-sesame"}')
    assert (sent.returncode, sent.stdout, sent.stderr.count("\n")) == (2, "", 1)
    assert sent.stderr.startswith("cronwax: Kafka at ")
    assert "there-is-none" in sent.stderr
    assert "sesame" not in sent.stderr


class Tail:
    """`tail` in a process of its own."""

    def __init__(self, settings, *arguments):
        command = [sys.executable, "-m", "cronwax", "tail", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=PROJECT, env=environment(settings), **pipes)

    def lines(self, count):
        assert self._process.stdout is not None
        return [self._process.stdout.readline().rstrip("\n") for _ in range(count)]

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)
        _, err = self._process.communicate(timeout=PATIENCE_SECONDS)
        return self._process.returncode, err


def test_tail_shows_what_is_there_and_what_comes_until_it_is_interrupted(broker, settings_for):
    settings = settings_for(broker)
    body = {"payload_type": "clock_stalled", "detection_time": 1_740_960_300.5, "text": "one"}
    send(broker.bootstrap, settings.occurrences_topic, 0, [(1, json.dumps(body).encode())])
    tail = Tail(settings, "--from-start")
    assert tail.lines(1) == ["2025-03-03T00:05:00Z\t-\t-\tclock_stalled: one"]
    send(broker.bootstrap, settings.occurrences_topic, 1, [(1, json.dumps({**body, "text": "two"}).encode())])
    assert tail.lines(1) == ["2025-03-03T00:05:00Z\t-\t-\tclock_stalled: two"]
    assert tail.interrupt() == (0, "")


def test_tail_shows_messages_as_json_with_their_place(broker, settings_for):
    settings = settings_for(broker)
    send(broker.bootstrap, settings.occurrences_topic, 2, [(1000, b'{"a": 1}'), (2000, b"no JSON")])
    tail = Tail(settings, "--from-start", "--json")
    assert [json.loads(line) for line in tail.lines(2)] == [
        {"partition": 2, "offset": 0, "ts_ms": 1000, "message": {"a": 1}},
        {"partition": 2, "offset": 1, "ts_ms": 2000, "message": "no JSON"},
    ]
    assert tail.interrupt() == (0, "")


def tail_at_once(settings, *arguments):
    command = [sys.executable, "-m", "cronwax", "tail", "--from-start", "--no-follow", *arguments]
    run = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_tail_ends_behind_what_is_there_if_it_shall_not_follow(broker, settings_for):
    settings = settings_for(broker)
    assert tail_at_once(settings) == ""
    send(broker.bootstrap, settings.occurrences_topic, 2, [(1000, b"{}")] * 3)
    assert tail_at_once(settings, "--json").count("\n") == 3


def test_dead_letters_are_shown_and_go_back_to_where_they_came_from(broker, settings_for):
    settings = settings_for(broker)
    topic = settings.checkins_topic
    sink = DeadLettersSink(settings).build_part("dead_letters", "0", None)
    sink.write_batch(
        [DeadLetter(topic, 1, 7, "no\nmap", b"\xff\x1b"), DeadLetter(topic, 0, 9, "why", b"x" * 300)]
    )
    sink.close()
    shown = [line.split("\t")[1:] for line in tail_at_once(settings, "--dead-letters").splitlines()]
    assert sorted(shown) == [
        [f"{topic}/0/9", "why", f"b'{'x' * 200}'... (300 bytes)"],
        [f"{topic}/1/7", r"no\nmap", "b'\\xff\\x1b'"],
    ]
    sent = run_send(settings, "dead-letters", stdin=tail_at_once(settings, "--dead-letters", "--json"))
    assert (sent.returncode, sent.stderr) == (0, "")
    assert sent.stdout == "".join(f"1 sent to {topic}/{part} at offsets 0 to 0\n" for part in (0, 1))
    found = {message.partition(): value_of(message) for message in read(broker.bootstrap, topic)}
    assert found == {0: b"x" * 300, 1: b"\xff\x1b"}
