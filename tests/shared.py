"""What many tests read and none changes, made once for all workers of pytest-xdist: the demo's data, a recorded run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_VARIABLE = "TESTS_SHARED_FOLDER"
"""Where it is kept, once the tests have begun: for processes that tests start, too."""


def keep_in(config: pytest.Config) -> None:
    """Keep it where the tests of this run have their temporary folders."""
    base: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    folder = (base.parent if hasattr(config, "workerinput") else base) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ[_VARIABLE] = str(folder)


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` has filled for whoever asked first, in whichever worker. To be read only."""
    folder = Path(os.environ.get(_VARIABLE) or _outside_of_tests().name) / name
    is_done = folder.with_name(f"{name}.done")
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed
            folder.mkdir()
            make(folder)
            is_done.touch()
    return folder


@cache
def _outside_of_tests() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="cronwax-")
