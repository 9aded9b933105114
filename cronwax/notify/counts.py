"""What the notifier counts, as Prometheus reads it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Metric = CounterMetricFamily | GaugeMetricFamily


class Waiting(NamedTuple):
    """What waits for a target."""

    target: str
    number: int
    oldest_ms: int
    """When the oldest of it was planned."""


class Counts(Collector):
    """Counted by several threads."""

    def __init__(
        self, now_ms: Callable[[], int], waiting: Callable[[], list[Waiting]], open_count: Callable[[], int]
    ) -> None:
        """`waiting` and `open_count` are asked with each scrape."""
        self._now_ms = now_ms
        self._waiting = waiting
        self._open_count = open_count
        self._lock = threading.Lock()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[str] = Counter()
        self._failing: set[str] = set()
        self._targets: set[str] = set()
        self.unreadable = 0
        """Messages that are none of the flow's."""

    def know(self, targets: set[str]) -> None:
        """These are the targets now."""
        with self._lock:
            self._targets = targets
            self._failing &= targets

    def ended(self, target: str, outcome: str) -> None:
        """A notification was sent, or is dead."""
        with self._lock:
            self._ended[target, outcome] += 1

    def failed(self, target: str) -> None:
        """An attempt failed."""
        with self._lock:
            self._failures[target] += 1
            self._failing.add(target)

    def well(self, target: str) -> None:
        """An attempt succeeded."""
        with self._lock:
            self._failing.discard(target)

    def collect(self) -> Iterator[Metric]:
        """The registry's call."""
        waiting = {each.target: each for each in self._waiting()}
        with self._lock:
            targets = sorted(self._targets | set(waiting))
            ended, failures, failing = Counter(self._ended), Counter(self._failures), set(self._failing)
        notifications = CounterMetricFamily(
            "cronwax_notify_notifications", "Notifications sent, or given up.", labels=["target", "outcome"]
        )
        failed = CounterMetricFamily(
            "cronwax_notify_failed_attempts", "Attempts that failed, and are made again.", labels=["target"]
        )
        queue = GaugeMetricFamily(
            "cronwax_notify_waiting", "Notifications that are to be sent.", labels=["target"]
        )
        oldest = GaugeMetricFamily(
            "cronwax_notify_oldest_waiting_seconds",
            "How long the oldest of them has waited; 0: none waits.",
            labels=["target"],
        )
        fails = GaugeMetricFamily(
            "cronwax_notify_target_failing", "1 while the last attempt failed.", labels=["target"]
        )
        now_ms = self._now_ms()
        for target in targets:
            for outcome in ("sent", "dead"):
                notifications.add_metric([target, outcome], ended[target, outcome])
            failed.add_metric([target], failures[target])
            each = waiting.get(target, Waiting(target, 0, now_ms))
            queue.add_metric([target], each.number)
            oldest.add_metric([target], max(0, now_ms - each.oldest_ms) / 1000)
            fails.add_metric([target], target in failing)
        yield from (notifications, failed, queue, oldest, fails)
        yield GaugeMetricFamily(
            "cronwax_notify_open_incidents", "What is open, as far as it was read.", value=self._open_count()
        )
        yield CounterMetricFamily(
            "cronwax_notify_unreadable_messages",
            "Messages that are none of the flow's.",
            value=self.unreadable,
        )
