"""Mutated messages and controls, through the whole flow in memory: none ends it, none touches another monitor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zlib import crc32

import pytest
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.testing import run_main

from benchmarks.fuzz_traffic import CALM, ORGANIZATIONS, PARTITIONS, Traffic
from benchmarks.fuzz_verdict import Ledger, Letter, calm_rows, differences
from dataflow.endpoints import Endpoints
from dataflow.flow import build
from dataflow.monitors.check_in import NO_MINUTE, minute_of
from dataflow.settings import Settings
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.inputs import Inputs
from state.write.writer import StateWriter
from tests.flow.memory import CollectSink

MESSAGES = 4_000
BATCH = 100
TOPIC = "ingest-monitors"
Received = tuple[int, int | None, bytes]


class _Partition(StatefulSourcePartition[SourceBatch, None]):
    def __init__(self, batches: Iterator[SourceBatch]) -> None:
        self._batches = batches

    def next_batch(self) -> list[SourceBatch]:
        return [next(self._batches)]

    def snapshot(self) -> None:
        return None


class _Source(FixedPartitionedSource[SourceBatch, None]):
    """The stream as Kafka would bring it; with `is_calm` pulses in the place of whatever is mutated."""

    def __init__(self, traffic: Traffic, ledger: Ledger) -> None:
        self.origins = [f"{TOPIC}/{number}" for number in range(PARTITIONS)]
        self._messages: dict[str, list[Received]] = {name: [] for name in self.origins}
        for sent in traffic:
            ledger.sent(sent)
            to = self._messages[self.origins[sent.partition]]
            to.append((len(to), sent.due_ms * 1000, sent.value))
        self._controls = traffic.controls

    def list_parts(self) -> list[str]:
        return [*self.origins, "controls"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Partition:
        if for_part == "controls":
            found: list[Received] = [
                (number, at_ms * 1000, control) for number, (at_ms, control) in enumerate(self._controls)
            ]
            return _Partition(self._batches("monitor-controls", -1, Format.CONTROLS, found))
        origin = self.origins.index(for_part)
        return _Partition(self._batches(TOPIC, origin, Format.MSGPACK, self._messages[for_part]))

    @staticmethod
    def _batches(topic: str, origin: int, kind: Format, messages: list[Received]) -> Iterator[SourceBatch]:
        clock = NO_MINUTE
        for start in range(0, len(messages), BATCH):
            some = messages[start : start + BATCH]
            before = clock
            if origin >= 0:
                clock = max(clock, *(minute_of(at_us) for _, at_us, _ in some if at_us is not None))
            yield SourceBatch(origin, topic, max(origin, 0), kind, before, some, clock, some[-1][0] + 1)


def run(folder: Any, seed: int, is_calm: bool) -> tuple[Ledger, StateWriter, list[Any], list[Any]]:
    ledger = Ledger()
    source = _Source(Traffic(MESSAGES, seed, is_calm=is_calm), ledger)
    settings = Settings(source="demo", key_groups=8, base_sample_rate=1.0, volume_anomalies=False)
    writer = StateWriter.open(folder)
    messages: list[Any] = []
    letters: list[Any] = []

    def write(records: Any) -> None:
        writer.write(records.rows)

    ends = (CollectSink(write), CollectSink(messages.append), CollectSink(letters.append))
    flow = build(settings, Endpoints({"memory": source}, Inputs(source.origins), ORGANIZATIONS, *ends))
    run_main(flow, epoch_interval=timedelta(seconds=1))
    writer.commit()
    return ledger, writer, messages, letters


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_messages_end_nothing_lose_nothing_and_change_nothing_of_others(tmp_path, seed):
    (tmp_path / "calm").mkdir()
    (tmp_path / "wild").mkdir()
    _, calm, calm_messages, _ = run(tmp_path / "calm", seed, is_calm=True)
    ledger, wild, wild_messages, letters = run(tmp_path / "wild", seed, is_calm=False)
    assert ledger.unreadable > MESSAGES // 10
    expected = calm_rows(calm.connection)
    assert all(expected[name] for name in ("check_ins", "incidents", "status_changes", "check_in_samples"))
    assert differences(expected, calm_rows(wild.connection)) == []
    assert sorted(sent.payload for sent in wild_messages if CALM.encode() in sent.payload) == sorted(
        sent.payload for sent in calm_messages if CALM.encode() in sent.payload
    )
    found = [Letter(each.partition, each.offset, crc32(each.original)) for each in letters]
    assert ledger.complaints(wild.connection, TOPIC, found) == []
    longest = wild.connection.execute(
        "SELECT max(length(errors)), max(length(payload)) FROM processing_errors"
    )
    errors, payload = longest.fetchall()[0]
    assert errors < 10_000
    assert payload < 110_000
    assert max(len(sent.payload) for sent in wild_messages) < 10_000
