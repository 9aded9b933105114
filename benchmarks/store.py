"""A flow that has been running: monitors in its recovery store and tables, and a file that goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import contender, inputs
from benchmarks.inputs import Input
from benchmarks.report import Figures


def prepare(monitors: int, folder: Path) -> Figures:
    """Run the flow over one check-in for each monitor; it leaves store, tables and input in `folder`."""
    source = inputs.setup(monitors)
    checkins = folder / "input" / "checkins.jsonl"
    checkins.parent.mkdir(parents=True)
    shutil.copy(source.path, checkins)
    return contender.run("flow", source._replace(path=checkins), folder, "--recovery", str(folder / "store"))


def resume(prepared: Path, folder: Path, stream: Input) -> Figures:
    """Copy what `prepare` left, let the file go on by a stream, and run the flow to the new end."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared, folder)
    checkins = folder / "input" / "checkins.jsonl"
    with checkins.open("ab") as whole, stream.path.open("rb") as more:
        shutil.copyfileobj(more, whole, 1 << 20)
    return contender.run("flow", stream._replace(path=checkins), folder, "--recovery", str(folder / "store"))


def join(setup: Input, stream: Input, path: Path) -> Input:
    """Both inputs in one file."""
    with path.open("wb") as whole:
        for part in (setup, stream):
            with part.path.open("rb") as file:
                shutil.copyfileobj(file, whole, 1 << 20)
    return Input(path, setup.projects, setup.messages + stream.messages)
