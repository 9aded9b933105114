"""snapshots: what the end of an epoch costs, where many monitors change within it and remember what they ran.

The engine takes the snapshots of all key groups one after the other, and nothing else happens meanwhile: their sum is
a pause, here in CPU time. Monitors that change are encoded before that, in pieces; the other contender encodes all of
them at the end.
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
from dataflow.steps.transition import Transition
from dataflow.steps.transition_state import SavedMonitors

SIZE = 120_000
_PART = 2 / 3
"""So many of all monitors are heard of in an epoch: as many as with a check-in every 15 s, and epochs of 10 s."""
_BATCH = 4_096


def run(size: int, runs: int) -> Report:
    """Monitors (`size`), two epochs in which two thirds of them are heard of."""
    report = Report("snapshots", size, runs)
    setup, stream = inputs.setup(size), inputs.stream(size, int(2 * _PART * size))

    def at_the_end() -> Figures:
        with patch.object(SavedMonitors, "are_due", lambda *_: False):
            return _measured(setup, stream)

    found = interleaved(report, {"as it is": lambda: _measured(setup, stream), "all at the end": at_the_end})
    report.ratios["pause, all at the end to as it is"] = ratio(
        found["all at the end"], found["as it is"], "pause_ms"
    )
    return report


def _measured(setup: Input, stream: Input) -> Figures:
    with _pipeline(setup) as pipeline:
        for _ in _fed(pipeline, setup):
            pass
        _remember(pipeline)
        pipeline.snapshots()
        pauses, sizes, pieces = [], [], [0.0]
        epoch, taken = stream.messages // 2, 0
        for messages in _fed(pipeline, stream):
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
                sizes.append(size)
        return {
            "pause_ms": 1e3 * max(pauses),
            "longest_key_group_ms": 1e3 * max(pieces),
            "snapshots_mb": max(sizes) / 1e6,
        }


@contextmanager
def _pipeline(source: Input) -> Iterator[Pipeline]:
    settings = _settings(source)
    yield Pipeline(settings, FileSource(source.path, _BATCH, projects=settings.projects()).inputs)


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
