"""docs/troubles.md and docs/runbook.md: commands, and what they answer on the demo's two weeks of troubles.

`python -m tests.commands.worked_console` runs them and writes the answers again; test_worked_console.py checks that
they are what is printed. A line that begins with `$ ` in a block `console` is a command; what follows is its answer.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.processes import PROJECT, demo_data, settings

PAGES = (PROJECT / "docs" / "troubles.md", PROJECT / "docs" / "runbook.md")
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_NOT_RUN = ("./run.sh demo troubles", "export ")
"""What the page tells to do beforehand, which `prepare` has done."""


def prepare(folder: Path) -> Path:
    """Put the story's data, and a log for controls, into `folder`/data; returns the folder to stand in."""
    shutil.copytree(demo_data("troubles"), folder / "data")
    subprocess.run(
        [sys.executable, "-P", "-m", "cronwax", "recovery", "recovery", "8"],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        check=True,
    )
    (folder / "data" / "intake" / "controls").mkdir(parents=True)
    (folder / "data" / "intake" / "log.json").write_text('{"version": 1, "partitions": 1}')
    (folder / "run.sh").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cronwax "$@"\n')
    (folder / "run.sh").chmod(0o755)
    return folder


def answered(page: str, folder: Path) -> str:
    """The page with every command answered. Raises AssertionError for one that fails."""

    def answer(found: re.Match[str]) -> str:
        lines = []
        for command in commands(found[1]):
            lines.append(f"$ {command}\n")
            if not command.startswith(_NOT_RUN):
                lines.append(run(command, folder))
        return f"```console\n{''.join(lines)}```"

    return _BLOCK.sub(answer, page)


def commands(block: str) -> list[str]:
    """The commands of a block."""
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> str:
    """What a command prints, on both of its outputs."""
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=_environment(folder) | {"CRONWAX_DATA_DIR": "data"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, (command, ended.stdout)
    return ended.stdout


def _environment(folder: Path) -> dict[str, str]:
    return {
        **settings(),
        "PYTHONPATH": str(PROJECT),
        "CRONWAX_PROGRAM": "./run.sh",
        "HOME": os.fspath(folder),
    }


if __name__ == "__main__":
    for path in PAGES:
        with tempfile.TemporaryDirectory() as place:
            path.write_text(
                answered(path.read_text(encoding="utf-8"), prepare(Path(place))), encoding="utf-8"
            )
