"""steps: where the time of one check-in goes, in µs, step by step and without the engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import inputs
from benchmarks.inputs import Input
from benchmarks.pipeline import replayed
from benchmarks.report import Figures, Report, interleaved
from dataflow.settings import Settings

SIZE = 300_000


def run(size: int, runs: int) -> Report:
    """The replay's input through the steps."""
    report = Report("steps", size, runs)
    source = inputs.replay(size)
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        interleaved(report, {"us of a message": lambda: _spent(source, Path(name) / "state")})
    return report


def _spent(source: Input, folder: Path) -> Figures:
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(source="file", checkins_path=source.path, projects_path=source.projects)
    pipeline = replayed(settings, folder)
    assert pipeline.writer is not None
    pipeline.writer.close()
    spent = {step: seconds / source.messages * 1e6 for step, seconds in pipeline.seconds.items()}
    return spent | {"all": sum(spent.values())}
