"""Signs of life of what this process runs: the event clock, partitions, sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, minute_of
from dataflow.process.wall_clock import wall_clock_us
from dataflow.settings import Settings
from dataflow.stream.items import Records
from state.schema.catalogue import rows_of
from state.schema.tables.internal import PartitionRow

Kind = Literal["clock", "partition", "sink"]
SECOND_US = 1_000_000
_PLACE = ("topic", "partition")
METRICS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("cronwax_event_clock_age_seconds", (), "How late the event clock is; 0 within its minute."),
    ("cronwax_partition_clock_age_seconds", _PLACE, "How late a partition's clock is."),
    ("cronwax_partition_lag_messages", _PLACE, "Messages of a partition that are not read yet."),
    ("cronwax_sink_age_seconds", ("sink",), "How long a sink has owed its output."),
)
"""Name, labels and help text of the gauges that `Vitals` collects."""


@dataclass(frozen=True, slots=True)
class Sign:
    """How one thing that can stall is doing."""

    kind: Kind
    subject: str
    """Its name: `event clock`, `ingest-monitors/3`, `tables`."""
    since_us: int
    """Where a clock stands; since when a sink owes what it was given; when anything else was last at work."""
    age_us: int
    """How far that is behind. A clock is behind from the end of its minute, and of the allowance, on."""
    is_certain: bool = True
    """Whether it shows that all is well if it is young; else it may only be that nothing is known yet."""


class Vitals(Collector):
    """Takes signs of life from the flow, for the watchdog and as metrics.

    What the flow calls is a few assignments, so that its workers and the watchdog's thread need no lock.
    """

    def __init__(self, settings: Settings, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._controls_topic = settings.controls_topic
        self._allowance_us = settings.idle_allowance_us
        self._now_us = now_us
        self.started_us = now_us()
        """When this process began to watch."""
        self._partitions: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._clocks: dict[str, int] = {}
        self._sinks: dict[str, int | None] = {}
        self._finished: set[str] = set()

    def partition(self, topic: str, partition: int, lag: int, clock_minute: int) -> None:
        """A source partition works: `lag` messages before the topic's end, its clock at this minute."""
        self._partitions[topic, partition] = lag, clock_minute, self._now_us()

    def expect_clocks(self, names: Iterable[str]) -> None:
        """The records of these partitions (`topic/number`), and their clocks, come to a sink of this process."""
        for name in names:
            self._clocks.setdefault(name, NO_MINUTE)

    def clocks(self, items: Sequence[Records]) -> None:
        """Take the partitions' clocks from their records: up to there everything has come through the flow."""
        for records in items:
            for row in rows_of(records.rows, PartitionRow):
                if row.clock is not None:
                    self._clocks[f"{row.topic}/{row.partition}"] = row.clock // MINUTE_US

    def sink_takes(self, name: str) -> None:
        """A sink is given something, which it owes until it has finished the epoch."""
        if self._sinks.get(name) is None:
            self._sinks[name] = self._now_us()

    def sink_finished(self, name: str) -> None:
        """A sink has finished an epoch: it owes nothing."""
        self._sinks[name] = None
        self._finished.add(name)

    def sink_closed(self, name: str) -> None:
        """A sink has nothing more to do."""
        self._sinks.pop(name, None)

    def last_asked_us(self) -> int | None:
        """When the engine last asked an input of this process for more; None: it has not yet, or reads none."""
        return max((seen_us for _, _, seen_us in self._partitions.copy().values()), default=None)

    def signs(self, now_us: int) -> list[Sign]:
        """How everything is doing."""
        signs = []
        if self._clocks:
            signs.append(self._clock("clock", "event clock", min(self._clocks.copy().values()), now_us))
        for (topic, number), (_, minute, seen_us) in self._partitions.copy().items():
            name = f"{topic}/{number}"
            if topic == self._controls_topic:
                signs.append(Sign("partition", name, seen_us, max(0, now_us - seen_us)))
            else:
                signs.append(self._clock("partition", name, minute, now_us))
        for name, owes_since_us in self._sinks.copy().items():
            since_us = now_us if owes_since_us is None else owes_since_us
            signs.append(Sign("sink", name, since_us, max(0, now_us - since_us), name in self._finished))
        return signs

    def _clock(self, kind: Kind, name: str, minute: int, now_us: int) -> Sign:
        is_certain = minute != NO_MINUTE
        if not is_certain:
            # It speaks when its minute changes: until then nothing is amiss.
            minute = minute_of(self.started_us)
        behind_us = now_us - self._allowance_us - (minute + 1) * MINUTE_US
        return Sign(kind, name, minute * MINUTE_US, max(0, behind_us), is_certain)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The registry's call, for each scrape."""
        clock, part, lag, sink = (
            GaugeMetricFamily(name, help_text, labels=labels) for name, labels, help_text in METRICS
        )
        for sign in self.signs(self._now_us()):
            age = sign.age_us / SECOND_US
            if sign.kind == "clock":
                clock.add_metric([], age)
            elif sign.kind == "sink":
                sink.add_metric([sign.subject], age)
            else:
                topic, _, number = sign.subject.rpartition("/")
                part.add_metric([topic, number], age)
                lag.add_metric([topic, number], self._partitions[topic, int(number)][0])
        yield from (clock, part, lag, sink)

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing beforehand: the flow may be made twice in one process."""
        return []
