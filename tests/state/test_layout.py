"""A published file has what is not for people in a schema of its own; files that have it in main are read, too."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from state.ask.prompt import command_of
from state.publish.publish import Publisher
from state.publish.snapshot import open_snapshot
from state.publish.snapshot_views import SNAPSHOT
from state.schema.layout import INTERNAL, PUT_AWAY, stored_name
from state.write.data_mark import published_mark
from state.write.writer import StateWriter
from tests.state.state_rows import check_in, partition, write


def published(folder: Path) -> Path:
    writer = StateWriter.open(folder)
    write(writer, check_ins=[check_in(1)], partitions=[partition(7)])
    Publisher(writer, folder, 0, lambda: 0.0).publish(force=True)
    writer.close()
    return folder / SNAPSHOT


def published_as_before(folder: Path) -> Path:
    """All tables in `main`."""
    path = published(folder)
    with duckdb.connect(path) as connection:
        for name in PUT_AWAY:
            connection.execute(f"CREATE TABLE main.{name} AS FROM {INTERNAL}.{name}")
            connection.execute(f"COMMENT ON TABLE main.{name} IS 'Internal: as before.'")
            connection.execute(f"DROP TABLE {INTERNAL}.{name}")
        views = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE schema_name = ? AND NOT internal", [INTERNAL]
        ).fetchall()
        for (name,) in views:
            connection.execute(f"DROP VIEW {INTERNAL}.{name}")
        connection.execute(f"DROP SCHEMA {INTERNAL}")
    return path


LAYOUTS = {"of its own": published, "among the others": published_as_before}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_readers_find_every_table_by_its_name_alone(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    with open_snapshot(tmp_path) as connection:
        assert connection.execute("SELECT position FROM partitions").fetchall() == [(7,)]
        assert connection.execute("SELECT count(*) FROM history_files").fetchall() == [(0,)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_published_is_known_to_be_the_writers_own(tmp_path: Path, layout: str) -> None:
    before = LAYOUTS[layout](tmp_path).stat()
    writer = StateWriter.open(tmp_path)
    assert published_mark(writer.connection, tmp_path / SNAPSHOT, 0) == writer.mark
    assert Publisher(writer, tmp_path, 0, lambda: 1.0).publish(force=True) is None
    assert (tmp_path / SNAPSHOT).stat().st_ino == before.st_ino
    write(writer, check_ins=[check_in(2)])
    assert Publisher(writer, tmp_path, 0, lambda: 2.0).publish(force=True) is not None
    writer.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_prompt_lists_what_is_for_people(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    query, parameters = command_of([".tables"]) or ("", {})
    with open_snapshot(tmp_path) as connection:
        listed = {name for name, _ in connection.execute(query, parameters).fetchall()}
    assert {"check_ins", "monitor_status", "uptime"} <= listed
    assert not listed & set(PUT_AWAY)


def test_rows_of_a_table_are_where_the_attached_file_has_them(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "file") as connection:
        connection.execute(
            "CREATE SCHEMA internal; CREATE TABLE internal.partitions (a INT);"
            "CREATE TABLE internal.check_ins_hot (a INT); CREATE TABLE monitors (a INT);"
            "CREATE VIEW check_ins AS FROM internal.check_ins_hot"
        )
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'file'}' AS other")
        assert stored_name(connection, "other", "partitions") == "other.internal.partitions"
        assert stored_name(connection, "other", "check_ins") == "other.internal.check_ins_hot"
        assert stored_name(connection, "other", "monitors") == "other.main.monitors"
        assert stored_name(connection, "other", "new") == "other.main.new"
