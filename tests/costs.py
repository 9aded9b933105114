"""What tests cost: `--costs FILE` appends a line for each phase of each test, and `python -m tests.costs FILE` sums up.

    ./run.sh test tests/state --costs /tmp/costs.tsv
    .venv/bin/python -m tests.costs /tmp/costs.tsv

Processor seconds are those of pytest itself and of all processes that ended and were waited for in the phase; what a
fixture costs is counted for the first test that asks for it, in `setup`. They mean much the same on a busy machine;
the seconds that passed do not.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import warm

MOST = 30
"""How many tests are listed."""


class Cost(NamedTuple):
    """One phase of one test."""

    own_s: float
    """Processor seconds of the process that runs the tests."""
    children_s: float
    """Processor seconds of processes that were waited for, and of runs in warm ones."""
    passed_s: float
    """Seconds that passed."""
    phase: str
    """`setup`, `call` or `teardown`."""
    test: str

    @property
    def cpu_s(self) -> float:
        """All processor seconds."""
        return self.own_s + self.children_s

    @property
    def module(self) -> str:
        """The file of the test."""
        return self.test.partition("::")[0]


class Costs:
    """Writes down what each phase costs; workers of pytest-xdist append to the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._noted("setup", item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._noted("call", item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._noted("teardown", item.nodeid):
            return (yield)

    @contextmanager
    def _noted(self, phase: str, test: str) -> Generator[None, None, None]:
        own_s, children_s, clock_s = _used_s(resource.RUSAGE_SELF), _of_children_s(), _now_s()
        try:
            yield
        finally:
            cost = Cost(
                own_s=_used_s(resource.RUSAGE_SELF) - own_s,
                children_s=_of_children_s() - children_s,
                passed_s=_now_s() - clock_s,
                phase=phase,
                test=test,
            )
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\t".join([*(f"{seconds:.3f}" for seconds in cost[:3]), phase, test]) + "\n")


class Phases:
    """Says at the end when the tests without processes were done, but for those of some places; these; and all."""

    def __init__(self, later: Iterable[str]) -> None:
        self._later = tuple(f"tests/{place}" for place in later)
        self._began_s = _now_s()
        self._done_s = {"rules and other code": 0.0, "tables": 0.0}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "process" not in report.keywords:
            phase = "tables" if report.nodeid.startswith(self._later) else "rules and other code"
            self._done_s[phase] = _now_s() - self._began_s

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        phases = self._done_s | {"with processes": _now_s() - self._began_s}
        done = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in phases.items())
        terminalreporter.write_line(f"tests were done after: {done}")


def _used_s(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _of_children_s() -> float:
    return _used_s(resource.RUSAGE_CHILDREN) + warm.spent_s


def _now_s() -> float:
    return time.monotonic()


def read(path: Path) -> list[Cost]:
    """All that was written down."""
    costs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        own, children, passed, phase, test = line.split("\t", 4)
        costs.append(Cost(float(own), float(children), float(passed), phase, test))
    return costs


def summed(costs: Iterable[Cost], most: int = MOST) -> str:
    """The sums of all modules, and the costliest phases of tests; the costliest first."""
    costs = list(costs)
    modules: dict[str, list[Cost]] = defaultdict(list)
    for cost in costs:
        modules[cost.module].append(cost)
    rows = [(_sums(of_module), name) for name, of_module in modules.items()]
    lines = ["   cpu s   passed s  tests", _row(_sums(costs), "all"), ""]
    lines += [_row(sums, name) for sums, name in sorted(rows, reverse=True)]
    lines += ["", "   cpu s   passed s"]
    costliest = sorted(costs, key=lambda cost: cost.cpu_s, reverse=True)[:most]
    lines += [f"{cost.cpu_s:8.1f}   {cost.passed_s:8.1f}  {cost.phase} {cost.test}" for cost in costliest]
    return "\n".join(lines)


def _sums(costs: list[Cost]) -> tuple[float, float, int]:
    tests = len({cost.test for cost in costs})
    return sum(cost.cpu_s for cost in costs), sum(cost.passed_s for cost in costs), tests


def _row(sums: tuple[float, float, int], name: str) -> str:
    return f"{sums[0]:8.1f}   {sums[1]:8.1f}  {sums[2]:5}  {name}"


if __name__ == "__main__":
    print(summed(read(Path(sys.argv[1]))))
