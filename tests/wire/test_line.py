"""A line that the source has looked into is decoded as one that nobody has."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.monitors.check_in import CheckIn
from dataflow.monitors.times import NO_MINUTE, Minute
from dataflow.steps.decode import Decode
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.items import Chunk, Records
from dataflow.stream.partition_clock import PartitionClock
from dataflow.wire.check_ins import CheckInDecoder, payload_of
from dataflow.wire.line import LineDecoder
from dataflow.wire.timestamps import read_ts
from state.schema.catalogue import rows_of
from state.schema.tables.runs import ProcessingErrorRow

PROJECTS = {7: 3}
GUID = "0af7651916cd43dd8448eb211c80319c"
anything: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
)


def usually(value):
    return st.just(value) | st.just(value) | st.just(value) | anything


payloads = st.fixed_dictionaries(
    {
        "check_in_id": usually(GUID),
        "monitor_slug": usually("Nightly job"),
        "status": usually("ok"),
    },
    optional={
        "environment": usually("dev"),
        "duration": usually(1.5),
        "contexts": usually({"trace": {"trace_id": GUID}}),
        "monitor_config": usually({"schedule": {"type": "crontab", "value": "@daily"}}),
        "unknown": anything,
    },
)
messages = st.fixed_dictionaries(
    {
        "message_type": usually("check_in") | st.just("clock_pulse"),
        "payload": payloads | payloads.map(json.dumps) | anything,
        "start_time": usually(1_740_960_000.25),
        "project_id": usually(7),
    },
    optional={"sdk": usually("sentry.python/2.20.0"), "retention_days": anything},
)
control = {"type": "set_killswitch", "organization_id": 1, "enabled": True}
lines = st.fixed_dictionaries(
    {},
    optional={
        "ts": usually(1_740_960_001.5) | st.just("2025-03-03T00:00:00Z"),
        "message": messages | messages | messages | anything,
        "control": st.just(control) | anything,
    },
).map(lambda line: json.dumps(line).encode()) | st.binary(max_size=20)


def decoded(batch):
    """What comes of a batch, with each payload as it came."""
    out = Decode(PROJECTS, 2)([batch])
    for chunk in out:
        for item in chunk.items if isinstance(chunk, Chunk) else ():
            if isinstance(item, CheckIn):
                item.payload, item.is_line = payload_of(item), False
    return out


@settings(deadline=None)
@given(st.lists(lines, min_size=1, max_size=5))
def test_what_the_source_has_read_of_a_line_changes_nothing(texts):
    decoder = LineDecoder(CheckInDecoder(PROJECTS), "in.jsonl", 0)
    clock, read = PartitionClock(5), []
    for number, text in enumerate(texts, 1):
        read.append(decoder.read(text, number, clock.minute))
        clock.take(read[-1][0])
    messages = [(number, ts, text) for number, (text, (ts, _)) in enumerate(zip(texts, read, strict=True), 1)]
    plain = SourceBatch(0, "in.jsonl", 0, Format.LINES, 5, messages, 6)
    assert [ts for ts, _ in read] == [read_ts(text) for text in texts]
    assert decoded(msgspec.structs.replace(plain, check_ins=[check_in for _, check_in in read])) == decoded(
        plain
    )


def test_the_usual_line_is_read_at_once_and_keeps_its_payload():
    payload = {"check_in_id": GUID, "monitor_slug": "nightly", "status": "ok", "more": [1, 2]}
    message = {"message_type": "check_in", "payload": payload, "start_time": 60, "project_id": 7}
    text = json.dumps({"ts": 60, "message": message}).encode()
    received_us, check_in = LineDecoder(CheckInDecoder(PROJECTS), "in.jsonl", 0).read(text, 1, Minute(-1))
    assert received_us == 60_000_000
    assert check_in is not None
    assert check_in.is_line
    assert json.loads(payload_of(check_in)) == payload


def test_a_line_without_a_time_has_the_time_that_its_file_had_reached():
    texts = [b"{", b'{"ts": 1740960125, "message": {"message_type": "clock_pulse"}}', b'{"ts": 17409']
    messages = [(number, read_ts(text), text) for number, text in enumerate(texts)]
    batch = SourceBatch(0, "in.jsonl", 0, Format.LINES, NO_MINUTE, messages, NO_MINUTE, 3, True)
    (records,) = [out for out in Decode({}, 1)([batch]) if isinstance(out, Records)]
    rows = rows_of(records.rows, ProcessingErrorRow)
    assert [row.received_at for row in rows] == [None, 1_740_960_120_000_000]
