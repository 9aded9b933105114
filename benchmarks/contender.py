"""One run of one contender, in a process of its own: what `python -m benchmarks.contender KIND ...` measures.

Seconds are counted from the first batch that is asked for to the end, everything on disk: the start of an
interpreter is not what is compared. `start_s`, from the start of the process to that batch, is kept beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.testing import run_main

from benchmarks.inputs import Input

EPOCH_SECONDS = 10
_BORN = "CRONWAX_BENCH_BORN"
Figures = dict[str, float]


class Failed(Exception):
    """A contender did not get through; the text is what it said."""


def run(kind: str, source: Input, folder: Path, *options: str, **settings: str) -> Figures:
    """Run a contender into `folder`, which it leaves full; settings without their prefix. Raises Failed."""
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "figures.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRONWAX_")}
    environment |= {
        "CRONWAX_SOURCE": "file",
        "CRONWAX_CHECKINS_PATH": str(source.path),
        "CRONWAX_PROJECTS_PATH": str(source.projects),
        "CRONWAX_DATA_DIR": str(folder / "data"),
        **{f"CRONWAX_{name.upper()}": value for name, value in settings.items()},
        _BORN: str(time.monotonic()),
    }
    command = [sys.executable, "-m", "benchmarks.contender", kind, str(result), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode or not result.exists():
        raise Failed(f"{kind}: {done.stderr[-2000:] or done.stdout[-2000:]}")
    figures: Figures = json.loads(result.read_text())
    figures["messages"] = figures.get("messages", source.messages)
    return figures


class Watched(FixedPartitionedSource[Any, Any]):
    """A source that notes when the first batch was asked for."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.first: float | None = None
        self.cpu = 0.0

    def list_parts(self) -> list[str]:
        parts: list[str] = self._source.list_parts()
        return parts

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _WatchedPartition:
        return _WatchedPartition(self, self._source.build_part(step_id, for_part, resume_state))


class _WatchedPartition(StatefulSourcePartition[Any, Any]):
    def __init__(self, watched: Watched, partition: Any) -> None:
        self._watched = watched
        self._partition = partition

    def next_batch(self) -> Any:
        if self._watched.first is None:
            self._watched.first, self._watched.cpu = time.monotonic(), time.process_time()
        return self._partition.next_batch()

    def snapshot(self) -> Any:
        return self._partition.snapshot()

    def close(self) -> None:
        self._partition.close()


class WatchedSink(FixedPartitionedSink[Any, Any]):
    """A sink that notes when it was first written to."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self.first: float | None = None

    def list_parts(self) -> list[str]:
        parts: list[str] = self._sink.list_parts()
        return parts

    def part_fn(self, item_key: str) -> int:
        return int(self._sink.part_fn(item_key))

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _WatchedSinkPartition:
        return _WatchedSinkPartition(self, self._sink.build_part(step_id, for_part, resume_state))


class _WatchedSinkPartition(StatefulSinkPartition[Any, Any]):
    def __init__(self, watched: WatchedSink, partition: Any) -> None:
        self._watched = watched
        self._partition = partition

    def write_batch(self, items: list[Any]) -> None:
        if self._watched.first is None:
            self._watched.first = time.monotonic()
        self._partition.write_batch(items)

    def snapshot(self) -> Any:
        return self._partition.snapshot()

    def close(self) -> None:
        self._partition.close()


def _figures(watched: Watched) -> Figures:
    assert watched.first is not None
    return {
        "seconds": time.monotonic() - watched.first,
        "cpu_seconds": time.process_time() - watched.cpu,
        "start_s": watched.first - float(os.environ[_BORN]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _run_flow(recovery: Path | None) -> Figures:
    from dataflow.endpoints import open_endpoints
    from dataflow.flow import build
    from dataflow.process.recovery_store import make
    from dataflow.settings import Settings
    from dataflow.start import tune_interpreter

    tune_interpreter()
    settings = Settings.load()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    endpoints = open_endpoints(settings)
    ((name, source),) = endpoints.sources.items()
    watched = Watched(source)
    tables = WatchedSink(endpoints.tables)
    config = None
    if recovery is not None:
        if not recovery.exists():
            make(recovery, 1)
        config = RecoveryConfig(str(recovery), backup_interval=timedelta(0))
    flow = build(settings, replace(endpoints, sources={name: watched}, tables=tables), recovery)
    run_main(flow, epoch_interval=timedelta(seconds=EPOCH_SECONDS), recovery_config=config)
    figures = _figures(watched)
    if tables.first is not None:
        figures["first_output_s"] = tables.first - float(os.environ[_BORN])
    if recovery is not None:
        figures["store_mb"] = sum(file.stat().st_size for file in recovery.iterdir()) / 2**20
    return figures


def _run_floor() -> Figures:
    from benchmarks import floor
    from dataflow.connectors.jsonl_source import FileSource
    from dataflow.settings import Settings
    from dataflow.start import tune_interpreter

    tune_interpreter()
    settings = Settings.load()
    assert settings.checkins_path is not None
    watched = Watched(FileSource(settings.checkins_path, settings.batch_size, projects=settings.projects()))
    counter = floor.Counter()
    run_main(floor.build(watched, settings.projects(), counter))
    return _figures(watched) | {"messages": counter.total}


def _run_reference(data_dir: Path, checkins: Path, projects: Path) -> Figures:
    from benchmarks.reference import Reference

    data_dir.mkdir(parents=True, exist_ok=True)
    started, cpu = time.monotonic(), time.process_time()
    reference = Reference(data_dir / "reference.sqlite3", json.loads(projects.read_text()))
    reference.replay(checkins)
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
        "start_s": started - float(os.environ[_BORN]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["flow", "floor", "reference", "steps", "clock"])
    parser.add_argument("result", type=Path)
    parser.add_argument("--recovery", type=Path)
    parser.add_argument("--monitors", type=int, default=0)
    parser.add_argument("--due", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.kind == "flow":
        figures = _run_flow(arguments.recovery)
    elif arguments.kind == "floor":
        figures = _run_floor()
    elif arguments.kind == "steps":
        from benchmarks.population import run_steps

        figures = run_steps(Path(os.environ["CRONWAX_BENCH_STREAM"]))
    elif arguments.kind == "clock":
        from benchmarks.population import run_clock

        figures = run_clock(arguments.monitors, arguments.due)
    else:
        names = ("DATA_DIR", "CHECKINS_PATH", "PROJECTS_PATH")
        figures = _run_reference(*(Path(os.environ[f"CRONWAX_{name}"]) for name in names))
    arguments.result.write_text(json.dumps(figures))


if __name__ == "__main__":
    _main()
