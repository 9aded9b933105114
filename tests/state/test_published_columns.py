"""Every table and view that is published, column by column, in every way that a state is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.shared_publish import SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import COLD_TABLES, INFO, TABLES
from state.schema.layout import HOT, INTERNAL, PUT_AWAY
from state.write.writer import StateWriter
from tests.state.answer_rows import World
from tests.state.every_table import EVERY_TABLE
from tests.state.state_rows import START_US, check_in, guid, monitor, partition, row, write

SHOWN = (
    "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = $1 AND schema_name = $2"
    " ORDER BY column_index"
)
VIEWS = "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
LISTED = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1"
"""What a client lists."""


def publish(folder: Path, shards: int, with_history: bool) -> None:
    """A state with rows in every table, and of the tables with history some in files, if there is to be one."""
    writers = [StateWriter.open(folder, shard, shards) for shard in range(shards)]
    limits = Limits(10 if with_history else 10_000)
    histories = [History(writer, folder, limits, lambda: 0.0) for writer in writers]
    if shards == 1:
        publishers = [Publisher(writers[0], folder, 0, lambda: 0.0)]
    else:
        publishers = [SharedPublisher(writer, folder, 0, lambda: 1.0) for writer in writers]
    for shard, writer in enumerate(writers):
        rows: dict[str, list[Any]] = dict(EVERY_TABLE) if shard == 0 else {"monitors": [monitor(2)]}
        rows |= {"partitions": [partition(1, 3000)]}
        write(writer, **rows | many(shard))
        for _ in COLD_TABLES:
            histories[shard].maintain()
        publishers[shard].publish(force=True)
        histories[shard].close()
    for writer in writers:
        writer.close()


def many(shard: int) -> dict[str, list[Any]]:
    """A hundred rows of each table that has history."""
    times = [START_US + number * 60_000_000 for number in range(100)]
    found: dict[str, list[Any]] = {}
    for name, history in COLD_TABLES.items():
        kind = TABLES[name].row
        known = {"project_id": shard + 1, "slug": "backup", "environment": "production", "counted": True}
        for number, at in enumerate(times):
            identity: dict[str, Any] = {
                column: at if column == history.time else guid(1000 * (shard + 1) + number)
                for column in ("check_in_id", "error_id", history.time)
            }
            identity |= {"message_id": f"{shard}-{number}", "verdict": "failure", "status": "ok"}
            values = known | identity
            found[name] = [
                *found.get(name, []),
                row(kind, **{column: values[column] for column in TABLES[name].names if column in values}),
            ]
    found["check_ins"] = [
        check_in(1000 * (shard + 1) + number, project=shard + 1, minute=number) for number in range(100)
    ]
    return found


@pytest.mark.parametrize("with_history", [False, True], ids=["hot", "history"])
@pytest.mark.parametrize("shards", [1, 3])
def test_tables_and_views_have_the_columns_of_the_catalogue(tmp_path, shards, with_history):
    publish(tmp_path, shards, with_history)
    plain = World()
    with closing(duckdb.connect(str(tmp_path / SNAPSHOT), read_only=True)) as connection:
        views = {name for (name,) in connection.execute(VIEWS).fetchall()}
        assert (set(COLD_TABLES) <= views) == with_history
        for name in (*TABLES, *INFO):
            expected = plain.rows(SHOWN, name, "main")
            assert [column for column, _, _ in expected] == list((TABLES | INFO)[name].names)
            schema = INTERNAL if name in PUT_AWAY else "main"
            if name in PUT_AWAY:  # whose columns nobody looks up there
                expected = [(column, kind, None) for column, kind, _ in expected]
            assert connection.execute(SHOWN, [name, schema]).fetchall() == expected, name
            assert connection.execute(f"SELECT * FROM {schema}.{name}").fetchall(), name
        for (name,) in plain.rows(VIEWS):
            expected = plain.rows(SHOWN, name, "main")
            assert connection.execute(SHOWN, [name, "main"]).fetchall() == expected, name
            described = connection.execute(f"SELECT * FROM {name} LIMIT 0").description
            assert [column[0] for column in described] == [column for column, _, _ in expected]
        for name in COLD_TABLES:
            ((count,),) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
            assert count == shards * 100, name
        listed = {name for (name,) in connection.execute(LISTED, ["main"]).fetchall()}
        hot = {f"{name}{HOT}" for name in COLD_TABLES if with_history}
        assert listed == {*TABLES, *INFO, *hot, *(name for (name,) in plain.rows(VIEWS))} - set(PUT_AWAY)
        hidden = {name for (name,) in connection.execute(LISTED, [INTERNAL]).fetchall()}
        assert hidden >= set(PUT_AWAY)
