"""fuzz: mutated messages and controls, beside those of calm monitors, through the flow on a broker.

Two runs read a topic of the same name: one with mutated messages, one with pulses in their place. Then

1. the flow has not ended by itself, and stops in order when it is asked to;
2. all rows and messages of the calm monitors are the same, byte for byte;
3. each mutated message is where it belongs: what no reader can read is in the dead letters as it was sent, and in
   `processing_errors`; every other check-in was let in or has a processing error.
"""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zlib import crc32

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from benchmarks import live
from benchmarks.contender import Failed
from benchmarks.fuzz_traffic import CALM, MINUTE_WILD, ORGANIZATIONS, PARTITIONS, Traffic
from benchmarks.fuzz_verdict import Ledger, Letter, Rows, calm_rows, differences
from benchmarks.inputs import SEED
from benchmarks.report import Figures, Report, interleaved
from cronwax.devtools.kafka_broker import admin, create_topic
from state.errors import StateError
from state.publish.snapshot import open_snapshot

SIZE = 1_000_000
MAX_MESSAGE_BYTES = 60_000_000
"""What the topics of check-ins and controls take."""
_LONGEST_MINUTES = 500
"""Of a stream, about: in days, most of the work would be misses of monitors that mutated messages have made."""
FAR_AWAY_SECONDS = 10 * 365 * 86_400
"""An allowance with which no idle partition's clock reaches the stream's, and the year 9999 is still the future."""
_LONG = 100_000
_PATIENCE_SECONDS = 180.0
"""So long the flow may make no progress."""


class _Processes(live.Processes):
    """Monitors of mutated check-ins have millions of misses, of which an epoch takes a bounded number."""

    epoch_seconds = 1


class Outcome(NamedTuple):
    """What one run made of its input."""

    rows: Rows
    messages: Counter[tuple[object, ...]]
    complaints: list[str]
    ledger: Ledger
    seconds: float
    figures: Figures


def run(size: int, runs: int) -> Report:
    """So many messages in each run, of another seed each time. Raises Failed with what differs, or does not add up."""
    report = Report("fuzz", size, runs)
    seeds = iter(range(SEED, SEED + runs))
    figures = interleaved(report, {"flow": lambda: _fuzz(size, next(seeds))})["flow"]
    mutated, sent = (sum(run[name] for run in figures) for name in ("mutated", "messages"))
    report.notes.append(
        f"{sent:,.0f} messages, {mutated:,.0f} of them mutated: 0 ends; calm monitors as without mutated messages; "
        "every mutated message accounted for"
    )
    return report


def _fuzz(size: int, seed: int) -> Figures:
    with TemporaryDirectory(prefix="cronwax-fuzz-") as folder, live.broker() as bootstrap:
        traffic = Traffic(
            size,
            seed,
            large_one_in=max(2_000, size // 100),
            wild_a_minute=max(MINUTE_WILD, size // _LONGEST_MINUTES),
        )
        try:
            wild = compare(bootstrap, Path(folder), traffic, publish_interval="1" if size < _LONG else "30")
        except Failed as failed:
            raise Failed(f"seed {seed}: {failed}") from None
    return wild.figures


def compare(bootstrap: str, folder: Path, traffic: Traffic, **settings: str) -> Outcome:
    """Both runs; what came of the one with mutated messages. Raises Failed."""
    calm = _outcome(bootstrap, folder / "calm", replace(traffic, is_calm=True), settings)
    wild = _outcome(bootstrap, folder / "wild", traffic, settings)
    said = differences({**calm.rows, "messages": calm.messages}, {**wild.rows, "messages": wild.messages})
    said += wild.complaints
    if not all(calm.rows[table] for table in ("check_ins", "incidents", "status_changes")):
        said.append("the calm monitors did nothing")
    if said:
        raise Failed("\n".join([f"{len(said)} complaints", *said[:20]]))
    return wild


def _outcome(bootstrap: str, folder: Path, traffic: Traffic, settings: dict[str, str]) -> Outcome:
    folder.mkdir(parents=True)
    projects = folder / "projects.json"
    projects.write_text(json.dumps(ORGANIZATIONS))
    with _topics(bootstrap, "calm" if traffic.is_calm else "wild") as topics:
        given = {
            "projects_path": str(projects),
            "base_sample_rate": "1",
            "volume_anomalies": "false",
            "kafka_idle_allowance_seconds": str(FAR_AWAY_SECONDS),
            **settings,
        }
        processes = _Processes(folder / "flow", bootstrap, topics, 1, **given)
        started, ledger = time.monotonic(), Ledger()
        try:
            _fill(bootstrap, topics, traffic, ledger, processes)
            _wait(folder / "flow" / "data", topics, traffic, ledger, processes)
            seconds = time.monotonic() - started
            cpu, memory = processes.cpu_seconds(), processes.peak_mb()
        finally:
            statuses = processes.stop()
        if statuses != [0]:
            raise Failed(f"the flow did not stop in order: {statuses}: {processes.said()}")
        data = folder / "flow" / "data"
        letters = list(_letters(bootstrap, topics, data))
        with open_snapshot(data) as tables:
            complaints = ledger.complaints(tables, topics["checkins_topic"], letters)
            figures = {
                "messages": float(sum(ledger.lengths())),
                "mutated": float(ledger.wild),
                "controls": float(len(traffic.controls)),
                "dead_letters": float(len(letters)),
                "errors": _count(tables, "processing_errors"),
                "samples": _count(tables, "check_in_samples"),
                "monitors": _count(tables, "monitors"),
                "seconds": seconds,
                "cpu_seconds": cpu,
                "peak_mb": memory,
                "fuzzer_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            sent = Counter(_calm_messages(bootstrap, topics["occurrences_topic"]))
            return Outcome(calm_rows(tables), sent, complaints, ledger, seconds, figures)


def _count(tables: object, table: str) -> float:
    return float(tables.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])  # type: ignore[attr-defined]


@contextmanager
def _topics(bootstrap: str, which: str) -> Iterator[dict[str, str]]:
    """The settings that name a run's topics. That of check-ins has the same name each time: ids derive from it."""
    limits = {"max_message_bytes": str(MAX_MESSAGE_BYTES)}
    names = {"checkins_topic": "fuzz-check-ins", "controls_topic": "fuzz-controls"}
    untrue = {"message_timestamp_after_max_ms": str(2**63 - 1)}
    create_topic(bootstrap, names["checkins_topic"], PARTITIONS, **limits, **untrue)
    create_topic(bootstrap, names["controls_topic"], 1, **limits)
    for setting, count in {"occurrences_topic": 2, "dead_letter_topic": 2}.items():
        names[setting] = create_topic(bootstrap, f"fuzz-{which}-{setting}", count)
    try:
        yield names
    finally:
        client = admin(bootstrap)
        for gone in client.delete_topics(list(names.values()), operation_timeout=30).values():
            gone.result()
        while not set(names.values()).isdisjoint(client.list_topics(timeout=10).topics):
            time.sleep(0.1)


def _fill(
    bootstrap: str,
    topics: dict[str, str],
    traffic: Traffic,
    ledger: Ledger,
    processes: live.Processes,
) -> None:
    options = {
        "bootstrap.servers": bootstrap,
        "linger.ms": 20,
        "enable.idempotence": True,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.kbytes": 400_000,
        "compression.type": "lz4",
    }
    producer = Producer(options)
    controls = 0
    for number, sent in enumerate(traffic):
        ledger.sent(sent)
        _produce(producer, topics["checkins_topic"], sent.partition, sent.at_ms, sent.value)
        if controls < len(traffic.controls):
            _produce(producer, topics["controls_topic"], 0, *traffic.controls[controls])
            controls += 1
        if number % 1_000 == 0:
            producer.poll(0)
            processes.check()
    if producer.flush(_PATIENCE_SECONDS):
        raise Failed("the broker takes no more")


def _produce(producer: Producer, topic: str, partition: int, at_ms: int, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, partition=partition, timestamp=at_ms, on_delivery=_delivered)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _delivered(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        raise Failed(f"{message.topic()}: a message cannot be sent: {error.str()}")


def _wait(
    data: Path, topics: dict[str, str], traffic: Traffic, ledger: Ledger, processes: live.Processes
) -> None:
    """Until the published tables hold everything. Raises Failed if the flow ends, or makes no progress."""
    progress: tuple[object, ...] = ()
    moved = time.monotonic()
    while True:
        processes.check()
        read, clock, rows = _published(data, topics["checkins_topic"])
        if read == ledger.lengths() and clock == traffic.end_minute:
            return
        if (read, clock, rows) != progress:
            progress, moved = (read, clock, rows), time.monotonic()
        elif time.monotonic() - moved > _PATIENCE_SECONDS:
            raise Failed(f"no progress at {read}, minute {clock}, {rows} check-ins: {processes.said()}")
        time.sleep(0.2)


def _published(data: Path, topic: str) -> tuple[list[int], int, int]:
    """What was read of each partition, the minute of the event clock (0: none yet), and how many check-ins there are:
    while the misses of some monitors are worked off, nothing else changes."""
    try:
        with open_snapshot(data) as tables:
            sql = 'SELECT "position" FROM partitions WHERE topic = ? ORDER BY "partition"'
            read = [position for (position,) in tables.execute(sql, [topic]).fetchall()]
            (clock,) = tables.execute("SELECT epoch(event_clock) // 60 FROM snapshot_info").fetchall()[0]
            return read, int(clock or 0), int(_count(tables, "check_ins"))
    except StateError:
        return [], 0, 0


def _letters(bootstrap: str, topics: dict[str, str], data: Path) -> Iterator[Letter]:
    """The dead letters of check-ins; what was cut is whole in the data folder. Raises Failed for any other."""
    for message in _read(bootstrap, topics["dead_letter_topic"]):
        found = dict(message.headers() or ())
        headers = {name: value.decode() for name, value in found.items() if isinstance(value, bytes)}
        if headers["topic"] != topics["checkins_topic"]:
            raise Failed(f"a dead letter of {headers['topic']}: {headers['reason']}")
        whole = (data / headers["file"]).read_bytes() if "file" in headers else message.value() or b""
        yield Letter(int(headers["partition"]), int(headers["offset"]), crc32(whole))


def _calm_messages(bootstrap: str, topic: str) -> Iterator[tuple[object, ...]]:
    for message in _read(bootstrap, topic):
        value = message.value() or b""
        if CALM.encode() in value:
            yield tuple(message.headers() or ()), message.key(), value


def _read(bootstrap: str, topic: str) -> Iterable[Message]:
    options = {"bootstrap.servers": bootstrap, "group.id": "fuzz", "enable.partition.eof": True}
    consumer = Consumer({**options, "enable.auto.commit": False})
    parts = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, part, 0) for part in parts])
    ends = 0
    try:
        while ends < len(parts):
            for message in consumer.consume(1_000, 1.0):
                if message.error() is None:
                    yield message
                else:
                    ends += message.error().code() == KafkaError._PARTITION_EOF  # type: ignore[union-attr]
    finally:
        consumer.close()
