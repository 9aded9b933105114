"""snapshots: what the end of an epoch costs, where many monitors change within it and remember what they ran.

The engine takes the snapshots of all key groups one after the other, and nothing else happens meanwhile: their sum is
a pause, here in CPU time. Monitors that change are encoded before that, in pieces, and blocks of them are written once,
under keys of their own. One contender keeps all blocks in the snapshots, so that the engine writes them again with each
epoch; another one also encodes all that changed at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from benchmarks import inputs
from benchmarks.inputs import SEED, Input
from benchmarks.pipeline import Pipeline
from benchmarks.report import Figures, Report, interleaved, ratio
from dataflow.connectors.jsonl_source import FileSource
from dataflow.monitors.environment import REMEMBERED_GUIDS
from dataflow.settings import Settings
from dataflow.steps.snapshot_blocks import BlockStore
from dataflow.steps.transition import Transition
from dataflow.steps.transition_state import SavedMonitors

SIZE = 120_000
_HEARD_OF = 80_000
"""So many monitors are heard of in an epoch, two thirds of all at most: 8,000 check-ins a second, epochs of 10 s."""
_EPOCHS = 8
_BATCH = 4_096


def run(size: int, runs: int) -> Report:
    """Monitors (`size`), and epochs in which many of them are heard of."""
    report = Report("snapshots", size, runs)
    heard_of = min(_HEARD_OF, 2 * size // 3)
    setup, stream = inputs.setup(size), inputs.stream(size, _EPOCHS * heard_of)

    def at_the_end() -> Figures:
        with patch.object(SavedMonitors, "work", lambda *_: None):
            return _measured(setup, stream, None)

    found = interleaved(
        report,
        {
            "as it is": lambda: _measured(setup, stream, _Nowhere()),
            "all in the snapshots": lambda: _measured(setup, stream, None),
            "and all at the end": at_the_end,
        },
    )
    report.ratios["bytes an epoch, all in the snapshots to as it is"] = ratio(
        found["all in the snapshots"], found["as it is"], "epoch_mb"
    )
    report.ratios["pause, all at the end to as it is"] = ratio(
        found["and all at the end"], found["as it is"], "pause_ms"
    )
    return report


class _Nowhere:
    """Takes blocks, and never gives them back."""

    execution = 0

    def read(self, key: str) -> bytes:
        raise ValueError(key)

    def keys(self, place: str) -> list[str]:
        return []

    def release(self) -> None:
        """There is nothing."""


def _measured(setup: Input, stream: Input, store: BlockStore | None) -> Figures:
    with _pipeline(setup, store) as pipeline:
        for _ in _fed(pipeline, setup):
            pass
        _remember(pipeline)
        pipeline.snapshots()
        pauses, sizes, pieces, longest = [], [], [0.0], 0.0
        epoch, taken, before = stream.messages // _EPOCHS, 0, pipeline.block_bytes
        started = time.thread_time()
        for messages in _fed(pipeline, stream):
            longest = max(longest, time.thread_time() - started)
            taken += messages
            if taken >= epoch:
                taken = 0
                started = time.thread_time()
                size = 0
                for groups in pipeline.groups.values():
                    for group in groups.values():
                        began = time.thread_time()
                        size += len(group.snapshot())
                        pieces.append(time.thread_time() - began)
                pauses.append(time.thread_time() - started)
                sizes.append(size + pipeline.block_bytes - before)
                before = pipeline.block_bytes
            started = time.thread_time()
        return {
            "pause_ms": 1e3 * max(pauses),
            "longest_key_group_ms": 1e3 * max(pieces),
            "longest_batch_ms": 1e3 * longest,
            "epoch_mb": sum(sizes) / len(sizes) / 1e6,
            "largest_epoch_mb": max(sizes) / 1e6,
        }


@contextmanager
def _pipeline(source: Input, store: BlockStore | None) -> Iterator[Pipeline]:
    settings = _settings(source)
    inputs_ = FileSource(source.path, _BATCH, projects=settings.projects()).inputs
    yield Pipeline(settings, inputs_, store=store)


def _settings(source: Input) -> Settings:
    return Settings(
        source="file", checkins_path=source.path, projects_path=source.projects, batch_size=_BATCH
    )


def _fed(pipeline: Pipeline, source: Input) -> Iterator[int]:
    """Feed an input, batch by batch; how many messages each had."""
    settings = _settings(source)
    files = FileSource(source.path, _BATCH, projects=settings.projects())
    partition = files.build_part("source", files.origins[0], None)
    while True:
        try:
            batches = partition.next_batch()
        except StopIteration:
            return
        for batch in batches:
            pipeline.feed(batch)
            yield len(batch.messages)


def _remember(pipeline: Pipeline) -> None:
    """Let every environment remember as many runs as it ever does."""
    random = Random(SEED)
    for step in pipeline.groups["transition"].values():
        assert isinstance(step, Transition)
        for monitor in step.group.monitors.values():
            step.group.noted.add(monitor)
            for environment in monitor.environments():
                for _ in range(REMEMBERED_GUIDS):
                    environment.remember(random.randbytes(16))
