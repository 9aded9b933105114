"""A writer whose file cannot grow any more."""

from __future__ import annotations

import sys
from uuid import UUID

import pytest

from state.errors import StateError
from state.schema.database import open_database, shard_path
from state.write.writer import StateWriter
from tests.state.state_rows import answer
from tests.state.test_writer import in_another_process

FULL_DISK = """
import hashlib, resource, signal, sys
from pathlib import Path
from tests.state.state_rows import check_in
from state.errors import StateError
from state.write.writer import StateWriter
writer = StateWriter.open(Path(sys.argv[1]))
writer.write({"check_ins": [check_in(1)]})
writer.commit()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
slugs = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(100_000)]  # hardly compressible
writer.write({"check_ins": [check_in(number, slug=slug) for number, slug in enumerate(slugs)]})
try:
    writer.commit()
    print("committed")
except StateError as error:
    print(error)
try:
    writer.close()
except StateError as error:
    print(error)
"""


@pytest.mark.process
def test_a_file_that_cannot_grow_is_one_clear_line_and_the_last_commit_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    told = in_another_process(FULL_DISK, tmp_path)
    assert "shard-000.duckdb: cannot write: " in told
    assert told.count("\n") == 1
    assert answer(shard_path(tmp_path, 0), "SELECT check_in_id FROM check_ins") == [(UUID(int=1),)]


def test_a_file_that_goes_while_it_is_opened_is_an_error_of_the_state(tmp_path, monkeypatch):
    def opened(path, shard, shards):
        connection = open_database(path, shard, shards)
        path.unlink()
        return connection

    monkeypatch.setattr("state.write.writer.open_database", opened)
    with pytest.raises(StateError, match=r"shard-000\.duckdb: cannot read: No such file or directory"):
        StateWriter.open(tmp_path)
