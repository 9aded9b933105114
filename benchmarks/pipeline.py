"""The flow's steps without the engine, in one process, each on its own clock: where the time of a check-in goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dataflow.connectors.jsonl_source import FileSource
from dataflow.monitors.organization import UNLIMITED, Limits
from dataflow.settings import Settings
from dataflow.steps.decode import Decode
from dataflow.steps.gate import Gate
from dataflow.steps.key_group import KeyGroup
from dataflow.steps.sample import Sample
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.steps.transition import Transition
from dataflow.steps.upsert import Upsert
from dataflow.steps.volume import Judge
from dataflow.stream.batch import SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import BlockWrite, Chunk, Records, Sampled, Ticks, Volumes
from state.write.writer import StateWriter

STEPS = ("read", "decode", "gate", "sample", "upsert", "volume", "transition", "write")


class Pipeline:
    """All key groups of all steps, called with the chunks that the engine would call them with.

    Without a data folder the records are dropped, and `write` takes no time.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: Inputs,
        data_dir: Path | None = None,
        snapshots: dict[str, dict[int, bytes]] | None = None,
        store: BlockStore | None = None,
    ) -> None:
        self._decode = Decode(
            settings.projects(), settings.gate_groups, settings.clock_delay_us, inputs.are_ordered
        )
        limits = Limits(settings.max_monitors_per_organization, UNLIMITED)
        made: dict[str, Any] = {
            "gate": lambda snapshot: Gate(
                settings.key_groups,
                inputs,
                limits,
                settings.rate_limit,
                settings.sample_new_monitors,
                snapshot,
                store=store,
            ),
            "sample": lambda snapshot: Sample(settings.base_sample_rate, lambda: True, snapshot, store),
            "upsert": lambda snapshot: Upsert(
                settings.gate_groups, settings.max_environments_per_monitor, snapshot, store
            ),
            "volume": lambda snapshot: Judge(
                settings.gate_groups, settings.key_groups, settings.volume_rules, snapshot
            ),
            "transition": lambda snapshot: Transition(
                settings.volume_anomalies, lambda: True, snapshot, settings.tuning, store=store
            ),
        }
        known = snapshots or {}
        self._made = made
        self.groups: dict[str, dict[int, KeyGroup[Any, Any]]] = {
            step: {group: made[step](snapshot) for group, snapshot in known.get(step, {}).items()}
            for step in made
        }
        self.writer = StateWriter.open(data_dir) if data_dir is not None else None
        self.seconds: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        self.rows: dict[str, int] = defaultdict(int)
        self.block_bytes = 0
        """What was handed over to be kept beside the snapshots."""

    def feed(self, batch: SourceBatch) -> None:
        """Take one batch through all steps."""
        decoded = self._timed("decode", self._decode, [batch])
        gated = self._step("gate", decoded, Chunk)
        sampled = self._step("sample", gated, Sampled)
        upserted = self._step("upsert", gated, Chunk)
        judged = self._step("volume", gated, Volumes)
        changed = self._step("transition", upserted, Chunk) + self._step("transition", judged, Ticks)
        for out in (decoded, gated, sampled, upserted, judged, changed):
            self._records(out)

    def tick(self, minute: int) -> list[Any]:
        """Let the clock reach a minute, for the transition step alone."""
        groups = self.groups["transition"]
        self._step("transition", [Ticks(group, [], minute, minute) for group in groups], Ticks)
        return self._step("transition", [Chunk(0, group, [], minute) for group in groups], Chunk)

    def commit(self) -> None:
        """One transaction, as at the end of an epoch."""
        if self.writer is not None:
            self._timed("write", self.writer.commit)

    def snapshots(self) -> dict[str, dict[int, bytes]]:
        """A snapshot of every group of every step."""
        return {
            step: {group: key_group.snapshot() for group, key_group in groups.items()}
            for step, groups in self.groups.items()
        }

    def _step(self, name: str, items: Iterable[Any], kind: type[Any]) -> list[Any]:
        chunks: dict[int, list[Any]] = {}
        for item in items:
            if type(item) is kind:
                chunks.setdefault(item.target, []).append(item)
        groups = self.groups[name]
        for group in chunks:
            if group not in groups:
                groups[group] = self._made[name](None)
        started = time.perf_counter()
        out: list[Any] = []
        for group, values in chunks.items():
            out += groups[group].on_batch(values)[0]
            while groups[group].notify_at() is not None:  # the engine's part: what one call has left
                out += groups[group].on_notify()[0]
        self.seconds[name] += time.perf_counter() - started
        return out

    def _records(self, items: list[Any]) -> None:
        for item in items:
            if type(item) is BlockWrite:
                self.block_bytes += len(item.data or b"")
            elif type(item) is Records:
                for table, rows in item.rows.items():
                    self.rows[table] += len(rows)
                if self.writer is not None:
                    self._timed("write", self.writer.write, item.rows, item.deletes)

    def _timed(self, name: str, function: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        self.seconds[name] += time.perf_counter() - started
        return result


def replayed(settings: Settings, data_dir: Path | None = None, commit_every: int = 100) -> Pipeline:
    """A pipeline that has taken in the settings' file; it commits every so many batches."""
    assert settings.checkins_path is not None
    source = FileSource(settings.checkins_path, settings.batch_size, projects=settings.projects())
    pipeline = Pipeline(settings, source.inputs, data_dir)
    partition = source.build_part("source", source.origins[0], None)
    number = 0
    while True:
        started = time.perf_counter()
        try:
            batches = partition.next_batch()
        except StopIteration:
            break
        pipeline.seconds["read"] += time.perf_counter() - started
        for batch in batches:
            pipeline.feed(batch)
        number += 1
        if number % commit_every == 0:
            pipeline.commit()
    pipeline.commit()
    return pipeline
