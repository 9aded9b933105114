"""The views and macros are there for whoever opens the tables, are described, and can be replaced."""

from __future__ import annotations

import os
import subprocess

import duckdb
import pytest
from msgspec.structs import replace

from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.tables.runs import IncidentRow
from state.schema.views import apply_answers
from state.write.writer import StateWriter
from tests.state import macro_names
from tests.state.answer_rows import World, at, tables
from tests.state.state_rows import (
    MINUTE_US,
    START_US,
    check_in,
    environment,
    guid,
    monitor,
    partition,
    row,
    write,
)


def test_before_the_clock_has_begun_every_view_answers():
    world = World(now=None)
    world.monitor(next_checkin=at(5))
    world.check_in(1)
    world.incident(1)
    for schema, name in world.rows("SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"):
        world.rows(f"FROM {schema}.{name}")
    assert world.answer("status, overdue_by", "monitor_status") == [("ok", None)]


def test_every_view_column_and_macro_is_described():
    world = World()
    nameless = world.rows(
        """SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal AND comment IS NULL
        UNION ALL SELECT function_name FROM duckdb_functions() WHERE NOT internal AND comment IS NULL
        UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE schema_name = 'main' AND NOT internal AND comment IS NULL"""
    )
    assert nameless == []
    assert len(world.rows("SELECT 1 FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal")) == 39


def published(folder):
    writer = StateWriter.open(folder)
    monitors = [monitor(), monitor(slug="other")]
    environments = [environment(), environment(slug="other")]
    write(writer, monitors=monitors, monitor_environments=environments, partitions=[partition(1, 4_000)])
    runs = [
        replace(
            check_in(number, slug=slug, minute=number * 60), expected_time=START_US + number * 60 * MINUTE_US
        )
        for number in range(9)
        for slug in ("backup", "other")
    ]
    ended = (guid(2), START_US + 60 * MINUTE_US)
    failed = [row(IncidentRow, f"{1:032x}", 1, "backup", "production", "", guid(1), START_US, *ended)]
    writer.write({"check_ins": runs, "incidents": failed})
    Publisher(writer, folder, 0, lambda: 0.0).publish(force=True)
    writer.close()
    return folder / SNAPSHOT


def test_the_snapshot_has_them_also_for_who_attaches_it(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{published(tmp_path)}' AS cron (READ_ONLY)")
        query = (
            "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'cron' AND NOT internal"
        )
        for schema, name in connection.execute(query).fetchall():
            connection.execute(f"FROM cron.{schema}.{name}").fetchall()
        assert connection.execute(
            "SELECT slug, status FROM cron.monitor_status ORDER BY slug"
        ).fetchall() == [
            ("backup", "ok"),
            ("other", "ok"),
        ]
        connection.execute("USE cron")
        assert len(connection.execute("FROM uptime('2025-03-01', '2025-03-04')").fetchall()) == 2


@pytest.mark.process
def test_an_old_client_reads_them(tmp_path):
    """Only with CRONWAX_TEST_OLD_DUCKDB, an interpreter that has one: all views, and all names in all macros."""
    interpreter = os.environ.get("CRONWAX_TEST_OLD_DUCKDB")
    if not interpreter:
        pytest.skip("CRONWAX_TEST_OLD_DUCKDB names no interpreter with an old duckdb")
    command = [interpreter, macro_names.__file__, str(published(tmp_path))]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, ""), process.stdout


@pytest.fixture(scope="module")
def busy():
    """Tables about which every macro has something to say."""
    world = World(4_000, tables())
    world.monitor(
        owner="team:1",
        schedule_type="crontab",
        schedule="*/5 * * * *",
        timezone="UTC",
        next_checkin=at(4_005),
    )
    for minute in range(0, 4_000, 300):
        due = at(minute) if minute else None
        world.check_in(minute, "error" if minute % 900 else "ok", duration_ms=minute, expected_time=due)
    for minute in range(10, 4_000, 700):
        world.check_in(minute, slug="other", duration_ms=minute, expected_time=at(minute))
    world.check_in(1_201, "missed", expected_time=at(1_201))
    world.check_in(1_203, expected_time=at(1_206))
    world.incident(900, 1_200)
    return world


@pytest.mark.parametrize("macro", macro_names.CALLS)
def test_a_macro_takes_no_name_of_its_caller_for_its_own(busy, macro):
    assert macro_names.wrong_answers(busy.connection, macro, is_thorough=False) == []


def test_all_macros_with_arguments_and_a_from_are_tried():
    found = World().rows(
        "SELECT function_name FROM duckdb_functions() WHERE NOT internal AND function_type = 'table_macro'"
        " AND len(parameters) > 0"
    )
    assert sorted(name for (name,) in found) == sorted(macro_names.CALLS)


def test_a_macro_that_pastes_its_arguments_beside_columns_is_found_out(busy):
    busy.connection.execute(
        "CREATE MACRO naive(of_slug) AS TABLE SELECT * FROM check_ins AS c WHERE c.slug = of_slug"
    )
    macro_names.CALLS["naive"] = ["'backup'"]
    try:
        found = macro_names.wrong_answers(busy.connection, "naive", True)
        wrong = [line.split(" from ")[1].split(" as ")[0] for line in found]
    finally:
        del macro_names.CALLS["naive"]
        busy.connection.execute("DROP MACRO TABLE naive")
    assert set(wrong) == {"c", "slug"}


def test_applying_them_again_replaces_them():
    world = World(0, tables())
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
