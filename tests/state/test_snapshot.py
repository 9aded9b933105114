"""Opening the snapshot while the flow replaces it."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

import state.publish.snapshot
from state.errors import StateError
from state.publish.publish import Publisher
from state.publish.snapshot import open_snapshot
from state.publish.snapshot_views import SNAPSHOT
from state.write.writer import StateWriter
from tests.state.state_rows import check_in, monitor, partition


@pytest.fixture
def publish(tmp_path):
    """Publishes a further check-in."""
    writer = StateWriter.open(tmp_path)
    publisher = Publisher(writer, tmp_path, 0.0, lambda: 0.0)
    published = 0

    def publish_another():
        nonlocal published
        published += 1
        writer.write(
            {
                "monitors": [monitor()],
                "check_ins": [check_in(published)],
                "partitions": [partition(published)],
            }
        )
        writer.commit()
        publisher.publish(force=True)

    yield publish_another
    writer.close()


@pytest.fixture
def opening(monkeypatch):
    """What happens at the next openings, one after the other; the opening itself comes first."""
    meanwhile: list[Any] = []
    connect = duckdb.connect

    def connect_meanwhile(path, **options):
        connection = connect(path, **options)
        if meanwhile:
            try:
                meanwhile.pop(0)()
            except duckdb.Error:
                connection.close()
                raise
        return connection

    # Whoever publishes opens files too, and must not be in its own way.
    monkeypatch.setattr(state.publish.snapshot, "duckdb", FakeDuckDB(connect_meanwhile))
    return meanwhile


class FakeDuckDB:
    """The module, but for how it opens a file."""

    def __init__(self, connect):
        self.connect = connect

    def __getattr__(self, name):
        return getattr(duckdb, name)


def runs(data_dir):
    with open_snapshot(data_dir) as connection:
        return connection.execute("SELECT count(*) FROM check_ins").fetchall()[0][0]


def test_a_snapshot_that_was_replaced_while_it_was_opened_is_opened_again(publish, opening, tmp_path):
    publish()
    opening += [publish, publish]
    assert runs(tmp_path) == 3
    assert opening == []


def test_an_error_that_came_of_that_is_none(publish, opening, tmp_path):
    def replaced():
        publish()
        raise duckdb.SerializationException("field id mismatch")

    publish()
    opening.append(replaced)
    assert runs(tmp_path) == 2


def test_an_error_of_a_snapshot_that_was_not_replaced_is_told(publish, opening, tmp_path):
    def broken():
        raise duckdb.SerializationException("field id mismatch")

    publish()
    opening.append(broken)
    with pytest.raises(StateError, match=f"{SNAPSHOT}: cannot open: .*field id mismatch"):
        runs(tmp_path)


def test_it_is_not_tried_for_ever(publish, opening, tmp_path, monkeypatch):
    monkeypatch.setattr(state.publish.snapshot, "_ATTEMPTS", 3)
    publish()
    opening += [publish] * 4
    with pytest.raises(StateError, match="replaced faster than it can be opened"):
        runs(tmp_path)
    assert len(opening) == 1


def test_one_that_somebody_removed_meanwhile_is_told(publish, opening, tmp_path):
    publish()
    opening.append((tmp_path / SNAPSHOT).unlink)
    with pytest.raises(StateError, match="cannot open"):
        runs(tmp_path)
