"""The tables of a data folder, split into another number of shards.

They are read as analysts read them, from the published snapshot with its history, and go into new files: a monitor's
rows where its key group writes, an organization's likewise, what is of neither into the first. Old rows are moved to
Parquet files of the new shards as they come, day by day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from state.errors import StateError, reason
from state.history.history import History, Limits
from state.history.history_tables import DAY_US
from state.publish.snapshot_views import SNAPSHOT
from state.schema.catalogue import COLD_TABLES, TABLES
from state.schema.database import check_version, shard_path
from state.schema.layout import find_both, shown_name
from state.schema.sql import quoted
from state.schema.tables.internal import PartitionRow
from state.schema.tables.silences import NotificationRow, SilenceRow, SilenceWindowRow
from state.write.writer import StateWriter

_PARTITIONS = PartitionRow.TABLE.name
_MONITOR = ("project_id", "slug")
_ORGANIZATION = ("organization_id",)
_WRITTEN_ELSEWHERE: dict[str, tuple[str, ...]] = {
    SilenceRow.TABLE.name: _ORGANIZATION,
    SilenceWindowRow.TABLE.name: _ORGANIZATION,
    NotificationRow.TABLE.name: (),
}
"""Tables that name a monitor, or a pattern of one, and are not written where it is: with its organization, or by the
first shard."""


class Homes(NamedTuple):
    """In which of the new shards rows are written."""

    shards: int
    of_monitor: Callable[[int, str], int]
    of_organization: Callable[[int], int]


def shards_of(data_dir: Path) -> int:
    """Into how many shards a data folder is split. Raises StateError."""
    path = shard_path(data_dir, 0)
    if not path.exists():
        raise StateError(f"{path}: is not there")
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = check_version(connection, path)
    except duckdb.Error as error:
        raise StateError(f"{path}: cannot open: {reason(error)}") from None
    if found is None:
        raise StateError(f"{path}: is empty")
    return found[1]


def make_shards(data_dir: Path, folder: Path, homes: Homes, hot_rows: int) -> None:
    """Make the new shards in a folder, of what is published in `data_dir`. Raises StateError, also where they do not
    come to the same numbers of rows."""
    try:
        made = [
            _make_shard(data_dir, folder, shard, homes, max(1, hot_rows // homes.shards))
            for shard in range(homes.shards)
        ]
    except duckdb.Error as error:
        raise StateError(f"{folder}: cannot make the shards: {reason(error)}") from None
    for name, count in _published_rows(data_dir).items():
        if (found := sum(counts[name] for counts in made)) != count:
            raise StateError(
                f"{data_dir}: {name} has {count:,} rows, the new shards {found:,}; nothing was changed"
            )


def _published_rows(data_dir: Path) -> dict[str, int]:
    try:
        with duckdb.connect(str(data_dir / SNAPSHOT), read_only=True) as connection:
            find_both(connection)
            return {name: _count(connection, f"FROM {name}") for name in TABLES if name != _PARTITIONS}
    except duckdb.Error as error:
        raise StateError(f"{data_dir / SNAPSHOT}: cannot be read: {reason(error)}") from None


def _make_shard(data_dir: Path, folder: Path, shard: int, homes: Homes, hot_rows: int) -> dict[str, int]:
    writer = StateWriter.open(folder, shard, homes.shards)
    connection = writer.connection
    history = History(writer, folder, Limits(hot_rows), lambda: 0.0)
    try:
        connection.execute("SET VARIABLE cronwax_data_dir = ?", [str(data_dir.absolute())])
        connection.execute(f"ATTACH {quoted(data_dir / SNAPSHOT)} AS old (READ_ONLY)")
        positions = shown_name(connection, "old", _PARTITIONS)  # every shard has all
        connection.execute(f"INSERT INTO {_PARTITIONS} BY NAME FROM {positions}")
        connection.execute(
            "INSERT INTO snapshot_info (event_clock) SELECT event_clock FROM old.snapshot_info"
        )
        with _registered(connection, homes):
            for name in TABLES:
                if name != _PARTITIONS:
                    _fill(connection, name, shard, homes.shards, history)
        counts = {name: _rows(connection, name) for name in TABLES}
        connection.execute("DETACH old")
    finally:
        history.close()
        writer.close()
    return counts


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, homes: Homes) -> Iterator[None]:
    """Which shard each monitor, and each organization, belongs to."""
    monitors = _known(connection, _MONITOR)
    organizations = _known(connection, _ORGANIZATION)
    tables: dict[str, Any] = {
        "home_of_monitor": pa.table(
            {
                "project_id": pa.array([project for project, _ in monitors], pa.int64()),
                "slug": pa.array([slug for _, slug in monitors], pa.string()),
                "home": pa.array([homes.of_monitor(*monitor) for monitor in monitors], pa.int64()),
            }
        ),
        "home_of_organization": pa.table(
            {
                "organization_id": pa.array([each for (each,) in organizations], pa.int64()),
                "home": pa.array([homes.of_organization(each) for (each,) in organizations], pa.int64()),
            }
        ),
    }
    for name, table in tables.items():
        connection.register(name, table)
    yield
    for name in tables:
        connection.unregister(name)


def _known(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    listed = ", ".join(columns)
    some = [
        f"SELECT {listed} FROM {shown_name(connection, 'old', name)}"  # noqa: S608 - our own names
        f" WHERE {columns[-1]} IS NOT NULL"
        for name in TABLES
        if _key_of(name) == columns
    ]
    return connection.execute(f"SELECT DISTINCT * FROM ({' UNION ALL '.join(some)})").fetchall()  # noqa: S608


def _key_of(name: str) -> tuple[str, ...]:
    """What decides where a table's rows are written."""
    if name in _WRITTEN_ELSEWHERE:
        return _WRITTEN_ELSEWHERE[name]
    names = TABLES[name].names
    for columns in (_MONITOR, ("key_group",), _ORGANIZATION):
        if all(column in names for column in columns):
            return columns
    return ()


def _source(connection: duckdb.DuckDBPyConnection, name: str, shard: int, shards: int) -> str:
    """The rows of the published table that belong to a shard."""
    key = _key_of(name)
    table = f"{shown_name(connection, 'old', name)} AS row"
    if key == ("key_group",):
        return f"{table} WHERE row.key_group % {shards} = {shard}"
    if not key:
        return f"{table} WHERE {shard} = 0"
    homes = "home_of_monitor" if key == _MONITOR else "home_of_organization"
    return (
        f"{table} LEFT JOIN {homes} AS home USING ({', '.join(key)}) WHERE coalesce(home.home, 0) = {shard}"
    )


def _fill(
    connection: duckdb.DuckDBPyConnection, name: str, shard: int, shards: int, history: History
) -> None:
    columns = ", ".join(f'row."{column}"' for column in TABLES[name].names)
    source = _source(connection, name, shard, shards)
    insert = f"INSERT INTO {name} BY NAME SELECT {columns} FROM {source}"  # noqa: S608 - our own names
    if name not in COLD_TABLES:
        connection.execute(insert)
        return
    day = f'epoch_us(row."{COLD_TABLES[name].time}") // {DAY_US}'
    days = connection.execute(
        f"SELECT DISTINCT {day} FROM {source} ORDER BY 1"  # noqa: S608
    ).fetchall()
    for (number,) in days:
        connection.execute(f"{insert} AND {day} IS NOT DISTINCT FROM ?", [number])
        while history.maintain() or history.wait():
            pass  # what is over the limit goes to files before more comes


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    hot = _count(connection, f"FROM {name}")
    if name not in COLD_TABLES:
        return hot
    cold = connection.execute(
        "SELECT coalesce(sum(rows), 0) FROM history_files WHERE table_name = ? AND superseded_at IS NULL",
        [name],
    ).fetchone()
    assert cold is not None
    return hot + int(cold[0])


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    found = connection.execute(f"SELECT count(*) {source}").fetchone()
    assert found is not None
    return int(found[0])
