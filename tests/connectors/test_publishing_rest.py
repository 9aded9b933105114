"""What comes too soon after a snapshot for the next one is published, though the flow falls quiet."""

from __future__ import annotations

import time

from dataflow.connectors.background_writer import DeferredSink
from dataflow.connectors.duckdb_sink import TablesSink
from dataflow.settings import Settings
from dataflow.stream.items import Records
from state.errors import StateError
from state.publish.snapshot import open_snapshot
from state.schema.table import Row
from tests.state.state_rows import check_in, partition

PATIENCE_SECONDS = 60


def published(folder):
    """How many check-ins the snapshot shows, -1 if there is none."""
    try:
        with open_snapshot(folder) as connection:
            return connection.execute("SELECT count(*) FROM check_ins").fetchall()[0][0]
    except StateError:
        return -1


def until(folder, count):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while published(folder) != count:
        assert time.monotonic() < deadline, published(folder)
        time.sleep(0.05)


def test_an_epoch_that_ended_too_soon_after_a_snapshot_is_in_the_next_one(tmp_path):
    settings = Settings(data_dir=tmp_path, publish_interval=2.0, retention_days_by_table={})
    part = DeferredSink(TablesSink(settings, bounded=False)).build_part("tables", "0", None)
    epochs: list[dict[str, list[Row]]] = [
        {"partitions": [partition(1)], "check_ins": [check_in(1)]},
        {"check_ins": [check_in(2)]},
    ]
    for rows in epochs:  # the second right after the first: no snapshot is due, and nothing comes after it
        part.write_batch([Records(0, rows)])
        part.snapshot()
        part.settle()
    assert published(tmp_path) == 1
    until(tmp_path, 2)
    part.close()
