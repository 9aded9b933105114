"""What the fuzzer's own reader makes of messages."""

from __future__ import annotations

import json

import msgpack
import pytest

from benchmarks.fuzz_traffic import Reading, reading

CHECK_IN = {
    "message_type": "check_in",
    "payload": json.dumps({"check_in_id": "0" * 31 + "1", "monitor_slug": "wild-1", "status": "ok"}),
    "start_time": 1_740_960_000.0,
    "project_id": 1,
    "sdk": None,
}
ODD_TIMESTAMPS = (b"\xd8\xff" + bytes(16), b"\xc7\x05\xff12345", b"\xd7\xff" + b"\xff" * 8)
"""Of a length that there is none of; with more nanoseconds than a second has."""


def test_a_check_in_is_one():
    assert reading(msgpack.packb(CHECK_IN)) is Reading.CHECK_IN


@pytest.mark.parametrize("timestamp", ODD_TIMESTAMPS)
def test_readers_may_differ_about_a_timestamp_that_cannot_be_one(timestamp):
    packed = bytes([0x80 + len(CHECK_IN) + 1]) + msgpack.packb(CHECK_IN)[1:] + msgpack.packb("odd")
    assert reading(packed + timestamp) is Reading.UNSURE


@pytest.mark.parametrize("cut", [1, 20])
def test_a_message_that_is_cut_off_is_unreadable(cut):
    assert reading(msgpack.packb(CHECK_IN)[:-cut]) is Reading.UNREADABLE
