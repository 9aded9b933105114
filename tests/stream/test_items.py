"""What travels between processes arrives as it was sent."""

from __future__ import annotations

import pickle

import pytest

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.changes import EnvironmentMuted, MonitorChanged, MonitorDeleted
from dataflow.monitors.check_in import CheckIn, Control
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.times import Microseconds, Minute
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.items import (
    Chunk,
    DeadLetter,
    Item,
    Message,
    Records,
    Sampled,
)
from state.schema.catalogue import Rows
from tests.state.state_rows import check_in, partition

CHECK_IN = CheckIn(
    1,
    2**64 - 1,
    "m",
    "prod",
    b"g" * 16,
    1,
    5,
    None,
    b"{}",
    None,
    Microseconds(3),
    Microseconds(4),
    Minute(-1),
    "t",
    0,
    9,
    4,
    b"\xff",
    None,
    1,
)
CONTROL = Control("mute", 1, Microseconds(3), Minute(-1), "t", 0, 9, b"{}", 7, "m", "prod", None, True)
CONFIG = MonitorConfig("interval", "10 minute", None, None, 5, None, 2)
ITEMS: list[Item] = [
    CHECK_IN,
    CONTROL,
    MonitorChanged(1, "m", "M", False, True, CONFIG, Microseconds(5), Minute(6), True),
    EnvironmentMuted(1, "m", "prod", True, Microseconds(5), Minute(6)),
    MonitorDeleted(1, "m", None, Microseconds(5), Minute(6)),
    RuleRequested(1, 2, "m", 5, "t", 0, 9),
]


@pytest.mark.parametrize(
    "sent",
    [
        Chunk(1, 2, ITEMS, 77),
        Sampled(1, 2, ITEMS, -1),
        Message("id", "key", b"\x00{}"),
        DeadLetter("t", 1, 2, "why", b"\xff\x00"),
        SourceBatch(0, "t", 1, Format.LINES, -1, [(1, None, b"x"), (2, 5, b"y")], 6, 2, True),
    ],
    ids=lambda sent: type(sent).__name__,
)
def test_it_comes_out_of_a_pickle_as_it_went_in(sent):
    received = pickle.loads(pickle.dumps(sent))
    assert type(received) is type(sent)
    assert received == sent


def test_records_come_out_of_a_pickle_with_their_rows():
    rows: Rows = {"check_ins": [check_in(1, project=2**64 - 1), check_in(2)], "partitions": [partition(7)]}
    records = Records(3, rows, 0.5, {"monitors": [(1, "mail")]})
    assert pickle.loads(pickle.dumps(records)) == records
