"""The views and macros are there for whoever opens the tables, are described, and can be replaced."""

from __future__ import annotations

import os
import subprocess

import duckdb
import pytest

from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.views import apply_answers
from state.write.writer import StateWriter
from tests.state.answer_rows import World, at
from tests.state.state_rows import check_in, environment, monitor, partition, write


def test_before_the_clock_has_begun_every_view_answers():
    world = World(now=None)
    world.monitor(next_checkin=at(5))
    world.check_in(1)
    world.incident(1)
    for (name,) in world.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal"):
        world.rows(f"FROM {name}")
    assert world.answer("status, overdue_by", "monitor_status") == [("ok", None)]


def test_every_view_column_and_macro_is_described():
    world = World()
    nameless = world.rows(
        """SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL
        UNION ALL SELECT function_name FROM duckdb_functions() WHERE NOT internal AND comment IS NULL
        UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE NOT internal AND comment IS NULL"""
    )
    assert nameless == []
    assert len(world.rows("SELECT 1 FROM duckdb_views() WHERE NOT internal")) == 13


def published(folder):
    writer = StateWriter.open(folder)
    write(writer, monitors=[monitor()], monitor_environments=[environment()], partitions=[partition(1)])
    writer.write({"check_ins": [check_in(1)]})
    Publisher(writer, folder, 0, lambda: 0.0).publish(force=True)
    writer.close()
    return folder / SNAPSHOT


def test_the_snapshot_has_them_also_for_who_attaches_it(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{published(tmp_path)}' AS cron (READ_ONLY)")
        assert connection.execute("SELECT slug, status FROM cron.monitor_status").fetchall() == [
            ("backup", "ok")
        ]
        connection.execute("USE cron")
        assert len(connection.execute("FROM uptime('2025-03-01', '2025-03-04')").fetchall()) == 1


OLD_CLIENT = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
for (name,) in views:
    connection.execute(f"FROM {name}").fetchall()
connection.execute("FROM timeline(1, 'backup', '2025-03-01', '2025-03-04')").fetchall()
print(connection.execute("SELECT slug, incidents FROM uptime('2025-03-01', '2025-03-04')").fetchall())
"""


def test_an_old_client_reads_them(tmp_path):
    """Only with CRONWAX_TEST_OLD_DUCKDB, an interpreter that has one."""
    interpreter = os.environ.get("CRONWAX_TEST_OLD_DUCKDB")
    if not interpreter:
        pytest.skip("CRONWAX_TEST_OLD_DUCKDB names no interpreter with an old duckdb")
    command = [interpreter, "-c", OLD_CLIENT, str(published(tmp_path))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr) == ("[('backup', 0)]\n", "")


def test_applying_them_again_replaces_them():
    world = World()
    world.monitor()
    world.connection.execute("CREATE OR REPLACE VIEW monitor_status AS SELECT 1 AS nonsense")
    apply_answers(world.connection)
    assert world.answer("slug", "monitor_status") == [("backup",)]


def test_without_the_tables_nothing_is_changed():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE monitors (slug VARCHAR)")
        with pytest.raises(duckdb.Error):
            apply_answers(connection)
        assert connection.execute(
            "SELECT count(*) FROM duckdb_functions() WHERE NOT internal"
        ).fetchall() == [(0,)]
