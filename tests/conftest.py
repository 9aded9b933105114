"""The order of the tests: first, within a minute, all that need no other process; then what takes longest first.

A test that starts a process has the marker `process`, by its folder or by itself: without it the process is refused.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROCESS_FOLDERS = (
    "kafka",
    "simulation",
    "recovery",
    "benchmarks",
    "cluster",
    "golden",
    "commands",
    "bad_input",
    "scenarios",
)
"""The folders all of whose tests may start processes. What takes longest comes first, and many short tests at the end,
so that two workers end at about the same time."""
_STARTS = frozenset(["subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"])
"""Python's audit events for a process that begins."""

_may_start = True


def pytest_configure() -> None:
    """Let nothing of whoever starts the tests get into the processes that they start.

    pytest itself gives its workers a width, 80, by way of readline: it would count instead of the terminal's. And a
    shell's background job ignores Ctrl-C, as would all that it starts.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
        os.unsetenv(name)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, those of one file as they stand there."""
    for item in items:
        if _folder(item) in PROCESS_FOLDERS:
            item.add_marker("process")
    items.sort(key=_rank)


def _folder(item: pytest.Item) -> str:
    path = item.path
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""


def _rank(item: pytest.Item) -> int:
    folder = _folder(item)
    if folder in PROCESS_FOLDERS:
        return 2 + PROCESS_FOLDERS.index(folder)
    return 1 if item.get_closest_marker("process") else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test, and the fixtures made for it, start processes only if it says so."""
    global _may_start
    _may_start = item.get_closest_marker("process") is not None
    try:
        return (yield)
    finally:
        _may_start = True


def _refuse(event: str, arguments: Iterable[object]) -> None:
    if not _may_start and event in _STARTS:
        raise AssertionError(f"{event}: a test that starts a process needs the marker `process`")


sys.addaudithook(_refuse)
