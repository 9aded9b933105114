"""Sources end when what they gave has been worked off, in every process, or when somebody stops."""

from __future__ import annotations

from typing import Any

import pytest
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.process import finishing as module
from dataflow.process.finishing import FILE, Finishing, FinishingSource
from dataflow.stream.batch import Format, SourceBatch


def batch(ended: bool) -> SourceBatch:
    return SourceBatch(0, "a.jsonl", 0, Format.LINES, -1, [], ended=ended)


class Part(StatefulSourcePartition[SourceBatch, int]):
    def __init__(self, batches: list[list[SourceBatch]]) -> None:
        self._batches = batches

    def next_batch(self) -> list[SourceBatch]:
        if not self._batches:
            raise StopIteration
        return self._batches.pop(0)

    def snapshot(self) -> int:
        return len(self._batches)


class Source(FixedPartitionedSource[SourceBatch, int]):
    def __init__(self, *batches: list[SourceBatch]) -> None:
        self._batches = batches

    def list_parts(self) -> list[str]:
        return ["a.jsonl"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Part:
        return Part(list(self._batches))


def part_of(finishing: Finishing, *batches: list[SourceBatch]) -> Any:
    return FinishingSource(Source(*batches), finishing).build_part("source", "a.jsonl", None)


def test_a_source_that_has_ended_gives_nothing_until_all_key_groups_are_done():
    finishing = Finishing(2)
    part = part_of(finishing, [batch(False)], [], [batch(True)])
    assert [len(part.next_batch()) for _ in range(4)] == [1, 0, 1, 0]
    assert part.next_awake() is not None
    finishing.finished(1)
    assert part.next_batch() == []
    finishing.finished(0)
    with pytest.raises(StopIteration):
        part.next_batch()


def test_a_stop_is_not_held_up(monkeypatch):
    part = part_of(Finishing(1), [batch(True)])
    part.next_batch()
    assert part.next_batch() == []
    monkeypatch.setattr(module, "stopping", lambda: True)
    with pytest.raises(StopIteration):
        part.next_batch()


def test_processes_wait_for_the_key_groups_of_each_other(tmp_path):
    one, other = Finishing(2, tmp_path), Finishing(2, tmp_path)
    part = part_of(one, [batch(True)])
    part.next_batch()
    one.finished(0)
    assert part.next_batch() == []
    other.finished(1)
    with pytest.raises(StopIteration):
        part.next_batch()


def test_a_process_that_was_stopped_is_not_waited_for(tmp_path):
    one, other = Finishing(2, tmp_path), Finishing(2, tmp_path)
    part, stopped = part_of(one, [batch(True)]), part_of(other, [batch(False)])
    part.next_batch(), stopped.next_batch()
    assert part.next_batch() == []
    with pytest.raises(StopIteration):
        stopped.next_batch()  # before its input has ended
    with pytest.raises(StopIteration):
        part.next_batch()


def test_what_an_earlier_run_said_holds_no_more(tmp_path):
    earlier = Finishing(1, tmp_path)
    earlier.finished(0)
    part = part_of(Finishing(1, tmp_path), [batch(True)])
    part.next_batch()
    assert part.next_batch() == []
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
