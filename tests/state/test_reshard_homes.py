"""Where rows belong when tables are split into another number of shards."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from state.publish.publish import Publisher
from state.publish.reshard import Homes, make_shards
from state.schema.catalogue import TABLES
from state.schema.database import shard_path
from state.write.writer import StateWriter
from tests.state.every_table import EVERY_TABLE
from tests.state.state_rows import write

HOMES = Homes(3, lambda project_id, slug: 1, lambda organization_id: 2)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list[int]]:
    """In which of three shards rows of each table are, if all monitors are of the second, and organizations of the
    third."""
    data, made = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("made")
    writer = StateWriter.open(data)
    write(writer, **EVERY_TABLE)
    Publisher(writer, data, 0, lambda: 0.0).publish(force=True)
    writer.close()
    make_shards(data, made, HOMES, 1000)
    return {name: [shard for shard in range(3) if _has(made, shard, name)] for name in TABLES}


def _has(folder: Path, shard: int, name: str) -> bool:
    with closing(duckdb.connect(str(shard_path(folder, shard)), read_only=True)) as connection:
        return connection.execute(f"FROM {name} LIMIT 1").fetchone() is not None


def test_each_row_is_where_it_would_be_written_again(found):
    assert found["monitors"] == found["check_ins"] == found["acknowledgements"] == [1]
    assert found["silences"] == found["silence_windows"] == [2], "the gate writes them, by organization"
    assert found["notifications"] == [0], "the first shard reads them from the ledger"
    assert all(len(shards) == 1 for name, shards in found.items() if name != "partitions")
