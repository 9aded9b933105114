"""What the intake counts, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_KNOWN_ITEMS = frozenset(
    {
        "request",
        "check_in",
        "event",
        "transaction",
        "session",
        "sessions",
        "client_report",
        "log",
        "attachment",
    }
)
"""Items that are counted by their names: those of others are the sender's to choose, and would have no bound."""

Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Counts(Collector):
    """Counted on the event loop, without locks."""

    def __init__(self) -> None:
        self.check_ins = 0
        """Check-ins that were taken."""
        self._answers: Counter[int] = Counter()
        self._drops: Counter[str] = Counter()
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._seconds = 0.0
        self.more: list[Callable[[], list[Metric]]] = []
        """Other parts that have something to show."""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, status: int, seconds: float) -> None:
        """A request was answered, this many seconds after it was read."""
        self._answers[status] += 1
        self._seconds += seconds
        for index, bound in enumerate(BUCKETS_S):
            if seconds <= bound:
                self._buckets[index] += 1
                return
        self._buckets[-1] += 1

    def drop(self, item: str, _: str) -> None:
        """Something was dropped."""
        self._drops[item if item in _KNOWN_ITEMS else "other"] += 1

    def exposition(self) -> bytes:
        """The metrics as text."""
        return generate_latest(self._registry)

    def collect(self) -> list[Metric]:
        """The registry's call."""
        taken = CounterMetricFamily("cronwax_intake_check_ins", "Check-ins taken.", value=self.check_ins)
        answers = CounterMetricFamily("cronwax_intake_answers", "Requests answered.", labels=["status"])
        for status, count in sorted(self._answers.items()):
            answers.add_metric([str(status)], count)
        drops = CounterMetricFamily("cronwax_intake_dropped", "What was not taken.", labels=["item"])
        for item, count in sorted(self._drops.items()):
            drops.add_metric([item], count)
        seconds = HistogramMetricFamily("cronwax_intake_answer_seconds", "From request to answer.")
        total, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self._buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        seconds.add_metric([], buckets, self._seconds)
        return [taken, answers, drops, seconds, *(metric for each in self.more for metric in each())]
