"""The order of the tests: first all that need no other process, the rules before the tables; then the longest first.

A test that starts a process has the marker `process`, by its folder or by itself: without it the process is refused.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.costs import Costs, Phases
from tests.shared import keep_in
from tests.units import Units

TESTS = Path(__file__).parent
PROCESS_FOLDERS = (
    "kafka",
    "recovery",
    "benchmarks",
    "cluster",
    "golden",
    "commands",
    "bad_input",
    "scenarios",
)
"""The folders all of whose tests may start processes."""
LATER = ("simulation/", "state/", "flow/test_published_clock.py", "connectors/test_publishing_rest.py")
"""What needs no process and takes a minute all the same, most of it in DuckDB: the first of what follows the rules."""
LONGEST = (
    "simulation",
    "state/test_common_questions.py",
    "flow/test_why_properties.py",
    "flow/test_outages.py",
    "flow/test_volume_properties.py",
    "flow/test_properties.py",
    "kafka",
    "cluster/test_state_shards.py",
    "state/test_history_crashes.py",
    "recovery/test_kills.py",
    "notify/test_kills.py",
    "intake",
    "commands/test_wheel.py",
    "recovery",
    "cluster",
    "notify",
    "commands",
)
"""Folders and modules with long tests, or with tests that share what takes long to make. They come first, and many
short tests last, so that all workers end at about the same time."""
_STARTS = frozenset(["subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"])
"""Python's audit events for a process that begins."""

_may_start = True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--costs", metavar="FILE", help="append what each test costs; python -m tests.costs FILE sums up"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let nothing of whoever starts the tests get into the processes that they start.

    pytest itself gives its workers a width, 80, by way of readline: it would count instead of the terminal's. And a
    shell's background job ignores Ctrl-C, as would all that it starts.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
        os.unsetenv(name)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _keep_bytecode()
    # No example fails because the machine has more to do than tests.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    if config.getoption("numprocesses", None):
        config.pluginmanager.register(Phases(LATER), "phases")
    if config.getoption("costs"):
        config.pluginmanager.register(Costs(Path(config.getoption("costs"))), "costs")


def _keep_bytecode() -> None:
    """Where Python is told to write no bytecode (images of containers often say so), keep it in a folder of our own.

    Each of the hundreds of processes would compile all that it imports, which is the half of a start.
    """
    if sys.dont_write_bytecode and sys.pycache_prefix is None:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(TESTS.parent / ".cache" / "bytecode")
        sys.dont_write_bytecode = False


def pytest_sessionstart(session: pytest.Session) -> None:
    keep_in(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    """Which tests a worker is given at a time."""
    return Units(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, those of one file as they stand there."""
    for item in items:
        folder = _place(item).partition("/")[0]
        if folder in PROCESS_FOLDERS:
            item.add_marker("process")
    items.sort(key=_rank)


def _place(item: pytest.Item) -> str:
    path = item.path
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""


def _rank(item: pytest.Item) -> tuple[bool, bool, int]:
    """First what needs no process, the rules before the tables; of each kind, the longest first."""
    place = _place(item)
    at = (
        number for number, longest in enumerate(LONGEST) if place in (longest, f"{longest}/{item.path.name}")
    )
    is_later = place.startswith(LATER)
    return item.get_closest_marker("process") is not None, is_later, next(at, len(LONGEST))


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
