"""What a published snapshot must hold for `cronwax repair`, where the inputs have lost their beginning."""

from __future__ import annotations

from pathlib import Path

from cronwax.commands.repair import lack
from dataflow.connectors.unwritten_records import Left
from dataflow.process.stored_states import States
from dataflow.rebuild import Stored
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.write.data_mark import DataMark
from state.write.writer import StateWriter
from tests.state.state_rows import check_in


def published(folder: Path, commits: int) -> DataMark:
    """Publish tables as of so many commits, and say which they are."""
    writer = StateWriter.open(folder)
    for number in range(commits):
        writer.write({"check_ins": [check_in(number)]})
        writer.commit()
    assert Publisher(writer, folder, 0, lambda: 0.0).publish(force=True)
    writer.close()
    return writer.mark


def stored(mark: DataMark | None) -> Stored:
    """What a recovery store says that takes this for written."""
    states: States = {}
    return Stored(states, {} if mark is None else {0: Left([], mark, {})})


def test_one_that_is_as_far_as_the_store_or_further_is_enough(tmp_path):
    mark = published(tmp_path, 3)
    assert lack(tmp_path, 0, stored(mark)) is None
    assert lack(tmp_path, 0, stored(mark._replace(commits=2))) is None


def test_one_that_is_older_than_the_store_is_not(tmp_path):
    mark = published(tmp_path, 3)
    assert lack(tmp_path, 0, stored(mark._replace(commits=5))) == (
        "is older than the recovery store: 3 commits of 5"
    )


def test_one_of_other_tables_or_of_none_that_the_store_knows_is_not(tmp_path):
    mark = published(tmp_path, 1)
    said = "is not of the file of shard 0 that the recovery store belongs to"
    assert lack(tmp_path, 0, stored(mark._replace(data_id=bytes(16)))) == said
    assert lack(tmp_path, 0, stored(None)) == said


def test_one_that_cannot_be_read_is_not(tmp_path):
    mark = published(tmp_path, 1)
    (tmp_path / SNAPSHOT).write_bytes(b"")
    assert lack(tmp_path, 0, stored(mark)) == "cannot be read, or is not there"
    (tmp_path / SNAPSHOT).unlink()
    assert lack(tmp_path, 0, stored(mark)) == "cannot be read, or is not there"
