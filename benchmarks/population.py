"""Many monitors in the steps of one process: what they weigh, and what their deadlines cost."""

from __future__ import annotations

import ctypes
import gc
import time
from pathlib import Path
from statistics import median

from benchmarks.inputs import START_S
from benchmarks.pipeline import Pipeline
from dataflow.connectors.jsonl_source import FileSource
from dataflow.monitors.changes import MonitorChanged
from dataflow.monitors.check_in import MINUTE_US, CheckIn, CheckInStatus
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.times import Microseconds, Minute
from dataflow.settings import Settings
from dataflow.steps.transition import Transition
from dataflow.stream.items import Chunk, Item
from dataflow.stream.key_groups import monitor_group

Figures = dict[str, float]
START_MINUTE = START_S // 60
TICKS = 20
EPOCH_MESSAGES = 100_000
"""An epoch of 10 s at 10,000 check-ins/s."""


def resident_bytes() -> int:
    """What this process holds in memory, after giving back what it can."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def run_steps(stream: Path) -> Figures:
    """Feed the settings' file (one check-in for each monitor) and then a stream, through the steps alone."""
    settings = Settings.load()
    assert settings.checkins_path is not None
    source = FileSource(settings.checkins_path, settings.batch_size, projects=settings.projects())
    pipeline = Pipeline(settings, source.inputs)
    before = resident_bytes()
    monitors, _ = _feed(pipeline, source)
    pipeline.snapshots()
    held = resident_bytes() - before

    pipeline.seconds = dict.fromkeys(pipeline.seconds, 0.0)
    stream_source = FileSource(stream, settings.batch_size, projects=settings.projects())
    messages, snapshots_s = _feed(pipeline, stream_source)
    spent = sum(pipeline.seconds.values())
    snapshots = pipeline.snapshots()
    size = sum(len(snapshot) for groups in snapshots.values() for snapshot in groups.values())
    del pipeline
    gc.collect()
    started = time.perf_counter()
    Pipeline(settings, source.inputs, snapshots=snapshots)
    restore_s = time.perf_counter() - started
    return {
        "messages": messages,
        "us_steps": spent / messages * 1e6,
        "rss_bytes_per_monitor": held / monitors,
        "snapshot_mb": size / 2**20,
        "snapshot_s": median(snapshots_s) if snapshots_s else 0.0,
        "restore_s": restore_s,
    }


def _feed(pipeline: Pipeline, source: FileSource) -> tuple[int, list[float]]:
    """Feed all of a source, with a snapshot every so many messages: how many there were, and what each took (s)."""
    partition = source.build_part("source", source.origins[0], None)
    messages = 0
    snapshots_s: list[float] = []
    while True:
        try:
            batches = partition.next_batch()
        except StopIteration:
            return messages, snapshots_s
        for batch in batches:
            pipeline.feed(batch)
            messages += len(batch.messages)
        if messages >= EPOCH_MESSAGES * (1 + len(snapshots_s)):
            started = time.perf_counter()
            pipeline.snapshots()
            snapshots_s.append(time.perf_counter() - started)


def run_clock(monitors: int, due: int) -> Figures:
    """Ticks of which each finds `due` of so many monitors late; then, with as many monitors, a jump of 24 h.

    A tick's figure is the median: the worst one has the garbage collector's first look at a million objects in it.
    """
    period = monitors // due
    groups = _late_from(monitors, period)
    ticks = []
    for tick in range(1, TICKS + 1):
        ticks.append(_tick(groups, START_MINUTE + period + 1 + tick))
    del groups
    groups = _late_from(monitors, 24 * 60)
    jump_s, misses = _tick(groups, START_MINUTE + 2 * 24 * 60 + 1)
    spent = [seconds for seconds, _ in ticks]
    missed = sum(count for _, count in ticks)
    return {
        "messages": missed,
        "due_each_minute": missed / TICKS,
        "ms_a_tick": median(spent) * 1e3,
        "worst_ms": max(spent) * 1e3,
        "us_a_miss": median(spent) / (missed / TICKS) * 1e6,
        "jump_s": jump_s,
        "jump_misses": misses,
    }


def _tick(groups: dict[int, Transition], minute: int) -> tuple[float, int]:
    """CPU seconds that a tick takes in all groups, and how many misses came of it."""
    misses = 0
    started = time.process_time()
    for group, transition in groups.items():
        for out in transition.apply([Chunk(0, group, [], minute)]):
            misses += len(getattr(out, "rows", {}).get("check_ins", ()))
    return time.process_time() - started, misses


def _late_from(monitors: int, period: int) -> dict[int, Transition]:
    """Monitors that were seen once, evenly over a period, and owe a check-in every period since."""
    config = MonitorConfig("interval", f"{period} minute", failure_issue_threshold=720)
    items: dict[int, list[Item]] = {}
    for number in range(monitors):
        slug = f"job-{number:07d}"
        project = 1 + number // 50
        at_us = (START_MINUTE + 1 + number % period) * MINUTE_US
        into = items.setdefault(monitor_group(project, slug, 64), [])
        into.append(
            MonitorChanged(
                project, slug, slug, False, False, config, Microseconds(at_us), Minute(START_MINUTE), False
            )
        )
        into.append(_ok(project, slug, at_us, number))
    groups = {}
    for group in sorted(items):
        groups[group] = Transition(False, lambda: True, None)
        groups[group].apply([Chunk(0, group, items.pop(group), START_MINUTE)])
    return groups


def _ok(project: int, slug: str, at_us: int, number: int) -> CheckIn:
    return CheckIn(
        organization_id=1,
        project_id=project,
        slug=slug,
        environment="production",
        guid=number.to_bytes(16),
        status=CheckInStatus.OK,
        duration_ms=None,
        trace_id=None,
        config=None,
        sdk=None,
        start_us=Microseconds(at_us),
        received_us=Microseconds(at_us),
        clock_minute=Minute(START_MINUTE),
        topic="bench",
        partition=0,
        offset=number,
        source=0,
        payload=b"",
    )
