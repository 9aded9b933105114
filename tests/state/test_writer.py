"""Records into DuckDB."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import duckdb
import pytest
from msgspec.structs import astuple, replace

from state.errors import StateError
from state.schema.catalogue import SCHEMA_VERSION, TABLES
from state.schema.database import shard_path
from state.schema.table import Kind
from state.schema.tables.runs import ProcessingErrorRow
from state.write.writer import StateWriter
from tests.state.every_table import EVERY_TABLE
from tests.state.state_rows import (
    START_US,
    answer,
    check_in,
    guid,
    monitor,
    row,
    write,
)

START = datetime(2025, 3, 3, tzinfo=UTC)


@pytest.fixture
def writer(tmp_path):
    writer = StateWriter.open(tmp_path)
    yield writer
    writer.close()


def rows_of(writer, query):
    return writer.connection.execute(query).fetchall()


def everything(writer):
    return {name: rows_of(writer, f"FROM {name} ORDER BY ALL") for name in TABLES}


def test_every_table_takes_rows_as_its_columns_say(writer):
    write(writer, **EVERY_TABLE)
    for name, table in TABLES.items():
        stored = rows_of(writer, f"FROM {name} ORDER BY ALL")
        plain = [tuple(_plain(value, kind) for value, kind in _kinds(row, table)) for row in stored]
        given = [
            tuple(_text(value, kind) for value, kind in _kinds(astuple(row), table))
            for row in EVERY_TABLE[name]
        ]
        assert plain == given


def _kinds(row, table):
    return zip(row, [column.kind for column in table.columns], strict=True)


def _plain(value, kind):
    if value is None:
        return None
    if kind is Kind.TIME:
        return round(value.timestamp() * 1_000_000)
    return value.bytes if kind is Kind.UUID else value


def _text(value, kind):
    return value.decode() if isinstance(value, bytes) and kind is not Kind.UUID else value


def test_every_table_and_column_says_what_it_means(writer):
    tables = rows_of(writer, "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL")
    columns = rows_of(
        writer,
        "SELECT table_name, column_name FROM duckdb_columns()"
        " WHERE comment IS NULL AND schema_name = 'main' AND NOT internal",
    )
    assert (tables, columns) == ([], [])


def test_a_row_replaces_the_one_of_the_same_identity(writer):
    write(writer, check_ins=[check_in(1, "in_progress"), check_in(2, "in_progress")])
    write(writer, check_ins=[check_in(1, "ok"), check_in(1, "error")])
    assert rows_of(writer, "SELECT check_in_id, status FROM check_ins ORDER BY ALL") == [
        (UUID(int=1), "error"),
        (UUID(int=2), "in_progress"),
    ]


def test_a_guid_that_is_used_again_much_later_still_has_one_row(writer):
    write(writer, check_ins=[check_in(1, "ok", minute=0)])
    write(writer, check_ins=[check_in(1, "error", minute=9_000)])
    assert rows_of(writer, "SELECT status FROM check_ins") == [("error",)]


def test_writing_the_same_rows_again_changes_nothing(writer):
    write(writer, **EVERY_TABLE)
    before = everything(writer)
    write(writer, **EVERY_TABLE)
    assert everything(writer) == before
    assert all(before.values())


def test_how_rows_are_spread_over_commits_makes_no_difference(tmp_path, writer):
    changes: list[Any] = [
        check_in(number % 5, status) for number in range(20) for status in ("in_progress", "ok")
    ]
    changes.insert(17, (1, "backup", "production", guid(0)))
    write(writer, check_ins=changes)
    other = StateWriter.open(tmp_path / "other")
    for change in changes:
        write(other, check_ins=[change])
    assert everything(other) == everything(writer)
    other.close()


def test_a_delete_takes_all_rows_whose_identity_begins_so(writer):
    kept = [check_in(3, slug="other"), check_in(4, project=2)]
    write(writer, check_ins=[check_in(1), check_in(2), *kept], monitors=[monitor()])
    write(writer, check_ins=[(1, "backup"), (1, "other", "staging")], monitors=[(1, "backup")])
    assert rows_of(writer, "SELECT check_in_id FROM check_ins ORDER BY ALL") == [
        (UUID(int=3),),
        (UUID(int=4),),
    ]
    assert rows_of(writer, "FROM monitors") == []


def test_a_full_identity_deletes_its_row_whatever_the_kinds_of_its_columns(writer):
    write(writer, **EVERY_TABLE)
    identities = {name: list(map(TABLES[name].key_of, rows)) for name, rows in EVERY_TABLE.items()}
    del identities["partitions"]
    write(writer, **identities)
    assert {name: rows for name, rows in everything(writer).items() if rows}.keys() == {"partitions"}


def test_what_comes_after_a_delete_stays(writer):
    write(writer, check_ins=[check_in(1)])
    write(writer, check_ins=[check_in(2), (1,), check_in(3)])
    assert rows_of(writer, "SELECT check_in_id FROM check_ins") == [(UUID(int=3),)]


def test_what_was_not_committed_is_not_there_after_a_restart(tmp_path):
    writer = StateWriter.open(tmp_path)
    write(writer, check_ins=[check_in(1)])
    writer.write({"check_ins": [check_in(2)]})
    writer.close()
    assert answer(shard_path(tmp_path, 0), "SELECT check_in_id FROM check_ins") == [(UUID(int=1),)]


def test_a_commit_without_changes_is_none(writer):
    assert writer.commit() == 0
    assert writer.commits == 0


@pytest.mark.parametrize(
    ("slug", "stored"),
    [("nul\0inside", "nul\0inside"), ("half\ud83d", "half\ufffd"), ("\ud83d\ude00", "😀"), ("", "")],
)
def test_any_text_can_be_stored(writer, slug, stored):
    write(writer, check_ins=[check_in(1, slug=slug), check_in(2)])
    assert (stored,) in rows_of(writer, "SELECT slug FROM check_ins")


def test_bytes_that_are_no_utf8_are_replaced(writer):
    write(
        writer, processing_errors=[row(ProcessingErrorRow, guid(1), START_US, ["A\ud800"], b"[]", b"\xffoo")]
    )
    assert rows_of(writer, "SELECT payload, error_types FROM processing_errors") == [
        ("\ufffdoo", ["A\ufffd"])
    ]


@pytest.mark.parametrize("payload", [b'{"half": "\\ud83d"}', b"{not json", b"", b"\xff", b"NaN"])
def test_json_that_duckdb_does_not_read_is_kept_as_text(writer, payload):
    write(writer, check_in_samples=[replace(EVERY_TABLE["check_in_samples"][0], payload=payload)])
    assert rows_of(writer, "SELECT payload->>'$' FROM check_in_samples") == [
        (payload.decode("utf-8", "replace"),)
    ]


def test_numbers_use_all_64_bits_and_larger_ones_become_the_largest(writer):
    rule = replace(EVERY_TABLE["sampling_rules"][0], num_samples=2**70)
    write(writer, check_ins=[check_in(1, project=2**64 - 1)], sampling_rules=[rule])
    assert rows_of(writer, "SELECT project_id FROM check_ins") == [(2**64 - 1,)]
    assert rows_of(writer, "SELECT num_samples FROM sampling_rules") == [(2**63 - 1,)]


def test_the_file_can_be_read_by_duckdb_1(writer):
    write(writer, **EVERY_TABLE)
    (tags,) = rows_of(writer, "SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL AND NOT internal")
    assert tags[0]["storage_version"].startswith("v1.0.0")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"^\S*/file/state: cannot make the folder: Not a directory$"):
        StateWriter.open(tmp_path / "file")


@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_a_file_that_a_flow_died_over_while_making_it_is_made_again(tmp_path, size):
    StateWriter.open(tmp_path).close()
    path = shard_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:size])
    with closing(StateWriter.open(tmp_path)) as writer:
        write(writer, monitors=[monitor()])
    assert answer(path, "SELECT slug FROM monitors") == [("backup",)]


@pytest.mark.process
def test_a_short_file_that_another_process_holds_stays(tmp_path):
    path = shard_path(tmp_path, 0)
    path.parent.mkdir()
    path.touch()
    command = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, 2); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", command, path], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StateError, match=r"cannot open|another flow"):
            StateWriter.open(tmp_path)
        holder.communicate(b"\n")
    assert path.exists()


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path):
    shard_path(tmp_path, 0).parent.mkdir()
    shard_path(tmp_path, 0).write_text("hello" * 1_000)
    with pytest.raises(StateError, match=r"^\S*/shard-000.duckdb: is not a DuckDB database$"):
        StateWriter.open(tmp_path)


def test_somebody_elses_database_is_left_alone(tmp_path):
    shard_path(tmp_path, 0).parent.mkdir()
    with duckdb.connect(shard_path(tmp_path, 0)) as connection:
        connection.execute("CREATE TABLE check_ins AS SELECT 42 AS mine")
    with pytest.raises(StateError, match=r"not one of Cronwax$"):
        StateWriter.open(tmp_path)
    assert answer(shard_path(tmp_path, 0), "FROM check_ins") == [(42,)]


def test_a_file_of_a_newer_version_names_both_versions(tmp_path):
    StateWriter.open(tmp_path).close()
    with duckdb.connect(shard_path(tmp_path, 0)) as connection:
        connection.execute("UPDATE schema_info SET version = version + 1")
    with pytest.raises(StateError, match=rf"schema version {SCHEMA_VERSION + 1}.* up to {SCHEMA_VERSION}:"):
        StateWriter.open(tmp_path)


def test_the_number_of_shards_is_fixed(tmp_path):
    StateWriter.open(tmp_path).close()
    with pytest.raises(StateError, match=r"is shard 0 of 1, not shard 0 of 2"):
        StateWriter.open(tmp_path, shard=0, shards=2)


def in_another_process(code, *arguments):
    """Run Python code; what it printed on both streams, in one string."""
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    return process.stdout + process.stderr


OPEN = """
import sys
from pathlib import Path
from state.errors import StateError
from state.write.writer import StateWriter
try:
    StateWriter.open(Path(sys.argv[1]))
    print("opened")
except StateError as error:
    print(error)
"""


@pytest.mark.process
def test_a_second_flow_on_the_same_folder_is_told_so(tmp_path, writer):
    # Copying reads the file through a descriptor of its own, and must not give up the lock.
    writer.copy_to(tmp_path / "copy.duckdb")
    told = in_another_process(OPEN, tmp_path)
    assert "shard-000.duckdb: another flow (process " in told
    assert told.count("\n") == 1


def _not_at_all(*arguments):
    raise OSError(errno.EXDEV, "not between these")


def _a_part_at_first(source, target, count, *offsets):
    if offsets[0]:
        raise OSError(errno.EINVAL, "no further")
    return COPY_FILE_RANGE(source, target, 5_000, *offsets)


COPY_FILE_RANGE: Any = getattr(os, "copy_file_range", None)


@pytest.mark.skipif(COPY_FILE_RANGE is None, reason="the system copies no files by itself")
@pytest.mark.parametrize("copy", [COPY_FILE_RANGE, _not_at_all, _a_part_at_first])
def test_a_copy_is_whole_whether_the_system_makes_it_or_not(tmp_path, writer, monkeypatch, copy):
    writer.write({"check_ins": [check_in(number) for number in range(3_000)]})
    writer.commit()
    monkeypatch.setattr(os, "copy_file_range", copy)
    target = tmp_path / "copy.duckdb"
    assert writer.copy_to(target) == target.stat().st_size
    assert target.read_bytes() == writer.path.read_bytes()
