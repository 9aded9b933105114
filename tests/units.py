"""What pytest-xdist hands to a worker at a time: a test, or several that share what takes long to make.

xdist's own groups (`--dist loadgroup`) rest on names of tests that pytest 9.2 no longer lets a plugin change.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

TOGETHER = {
    "simulation/": "simulation",
    "state/test_common_questions.py::test_the_demo": "questions about the demo",
    "state/test_common_questions.py": "questions about six weeks",
    "bad_input/test_starts.py": "starts",
    "intake/test_clients.py": "clients",
    "intake/test_bounds.py": "intake bounds",
    "connectors/test_demo_source.py": "demo source",
    "commands/test_wheel.py": "wheel",
    "commands/test_trials_night.py": "trials of a night",
    "commands/test_worked_console.py": "worked console",
    "state/test_clients.py": "clients of the snapshot",
    # A worker with tests of Kafka has a broker: three brokers, and about the same time for each.
    "kafka/test_live.py": "Kafka 1",
    "kafka/test_crash.py": "Kafka 1",
    "kafka/test_watchdog.py": "Kafka 1",
    "kafka/test_fuzz.py": "Kafka 1",
    "kafka/test_rescale.py": "Kafka 1",
    "kafka/test_backlog.py": "Kafka 1",
    "kafka/test_kafka_s": "Kafka 2",
    "kafka/test_intake.py": "Kafka 2",
    "kafka/test_repair.py": "Kafka 2",
    "kafka/test_kafka_broker.py": "Kafka 2",
    "kafka/": "Kafka 3",
}
"""By how the name of a test begins, below tests/, the unit that it belongs to; the first that fits counts."""
BY_PARAMETER = ("golden/test_golden_sets.py",)
"""Where tests with the same parameters share what takes long."""


def unit_of(name: str) -> str:
    """The unit of a test, by its full name; a test that shares nothing is one by itself."""
    place = name.removeprefix("tests/")
    for begin, unit in TOGETHER.items():
        if place.startswith(begin):
            return unit
    if place.startswith(BY_PARAMETER) and "[" in place:
        return place.partition("::")[0] + place[place.index("[") :]
    return name


class Units(LoadScopeScheduling):  # type: ignore[misc]  # of a library without types
    """Hands out units in the order of their first tests, one after the other to whoever has come to its last test."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        # xdist would queue two units for a worker: short ones would wait for a long one while other workers end. And it
        # would queue but one for a worker that takes the place of one that died: a worker runs a test when it has the
        # next one, or knows that there is none.
        while not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
            is_last = not self.workqueue
            super()._reschedule(node)
            if is_last or node.shutting_down:
                return

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone: the test that it died of, if it was at one. Others run what it had left.

        xdist would have that test run again, and end one worker after the other.
        """
        workload = self.assigned_work.pop(node)
        left = [(unit, test) for unit in workload.values() for test, is_done in unit.items() if not is_done]
        if not left:
            return None
        unit, died_of = left[0]
        unit[died_of] = True
        self.workqueue.update({scope: unit for scope, unit in workload.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return str(died_of)
