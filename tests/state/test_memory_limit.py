"""The memory of the writer's database goes by what is written to it."""

from __future__ import annotations

import random
import time
from contextlib import closing

from state.history.history import History, Limits
from state.publish import assemble, publish
from state.publish.snapshot import open_snapshot
from state.schema.database import ROW_GROUP
from state.write.memory_limit import AT_REST_MB, LEAST_MB, NEEDED, MemoryLimit
from state.write.writer import StateWriter
from tests.state.state_rows import check_in

MB = 1_000_000
PATIENCE_SECONDS = 10.0
"""A block that is being given back may be counted for a moment."""


def limit_of(connection):
    ((found,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    return found


def test_of_usual_rows_it_is_a_usual_amount(tmp_path):
    with closing(StateWriter.open(tmp_path)) as writer:
        writer.write({"check_ins": [check_in(number) for number in range(100)]})
        writer.commit()
        assert limit_of(writer.connection) == "381.4 MiB"  # 400 MB


def test_it_goes_by_the_widest_row_group(tmp_path):
    with closing(StateWriter.open(tmp_path)) as writer:
        limit = MemoryLimit(writer.connection)
        for _ in range(3):  # of each table by itself, and no longer than a row group
            limit.add("status_changes", ROW_GROUP // 2, 40 * MB)
            limit.add("check_ins", ROW_GROUP // 2, 30 * MB)
        assert limit.needed_mb == LEAST_MB
        limit.add("status_changes", ROW_GROUP // 2, 360 * MB)
        assert limit.needed_mb == NEEDED * 400
        limit.add("status_changes", 1, MB)
        assert limit.needed_mb == NEEDED * 400
        limit.apply()
        assert limit_of(writer.connection) == "1.1 GiB"  # 1,200 MB


def test_while_a_snapshot_is_made_the_writer_gives_back_what_it_only_keeps_as_a_cache(tmp_path):
    def in_use_mb():
        sizes = writer.connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
        return sizes[0][0] / MB

    def wait_until_at_rest():
        until = time.monotonic() + PATIENCE_SECONDS
        while (found := in_use_mb()) > AT_REST_MB and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def write(first, count):
        texts = random.Random(first)
        writer.write(
            {
                "check_ins": [
                    check_in(number, slug=texts.randbytes(10_000).hex())
                    for number in range(first, first + count)
                ]
            }
        )
        writer.commit()

    with closing(StateWriter.open(tmp_path)) as writer:
        write(0, 15_000)
        writer.copy_to(tmp_path / "copy")
        writer.connection.execute("SELECT sum(length(slug)) FROM check_ins").fetchall()
        assert wait_until_at_rest() <= AT_REST_MB
        write(15_000, 1)
        assert limit_of(writer.connection) != f"{AT_REST_MB / 1.048576:.1f} MiB"
        writer.connection.execute("SELECT sum(length(slug)) FROM check_ins").fetchall()
        assert in_use_mb() > AT_REST_MB
        writer.copy_to(tmp_path / "copy")
        assert wait_until_at_rest() <= AT_REST_MB


def test_the_history_has_what_a_transaction_needs_after_a_snapshot_too(tmp_path):
    with closing(StateWriter.open(tmp_path)) as writer:
        writer.write({"check_ins": [check_in(1)]})
        writer.commit()
        writer.copy_to(tmp_path / "copy")
        assert limit_of(writer.connection) == "190.7 MiB"  # 200 MB
        with History(writer, tmp_path, Limits(), lambda: 0.0)._transaction():
            assert limit_of(writer.connection) == "381.4 MiB"


def test_after_a_restart_it_is_known_what_the_file_holds(tmp_path):
    with closing(StateWriter.open(tmp_path)) as writer:
        before = MemoryLimit(writer.connection)
        writer.write({"check_ins": [check_in(number, slug="x" * 200_000) for number in range(1_500)]})
        writer.commit()
        assert NEEDED * 300 <= MemoryLimit(writer.connection).needed_mb < NEEDED * 310
        assert before.needed_mb == LEAST_MB


def test_a_snapshot_that_needs_more_than_the_limit_is_published_all_the_same(tmp_path, monkeypatch):
    limits = []

    def watched(copy, memory_mb):
        limits.append(memory_mb)
        return assemble.opened(copy, memory_mb)

    monkeypatch.setattr(publish, "opened", watched)
    monkeypatch.setattr(StateWriter, "memory_mb", 1)
    with closing(StateWriter.open(tmp_path)) as writer:
        writer.write({"check_ins": [check_in(number, slug=f"{number:0200}") for number in range(20_000)]})
        writer.commit()
        published = publish.Publisher(writer, tmp_path, 0, lambda: 0.0).publish(force=True)
    assert published is not None
    assert limits == [1, None]
    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.execute("SELECT count(*) FROM check_ins").fetchone() == (20_000,)
