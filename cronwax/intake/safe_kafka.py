"""Kafka as what makes check-ins safe, with the log before it: for order, and for when Kafka is away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from cronwax.intake.counts import Metric
from cronwax.intake.forwarder import Forwarder
from cronwax.intake.lines import Entry
from cronwax.intake.safe_log import SafeLog

PATIENCE_SECONDS = 0.5
"""How long an answer waits for Kafka once the log has it."""
_SWEEP_SECONDS = 0.05


class _Waiting(NamedTuple):
    ends: dict[int, int]
    future: asyncio.Future[None]
    deadline: float


class SafeKafka:
    """Check-ins are answered when all in-sync replicas have them (acks=all).

    When that takes too long they are answered all the same: they are on the disk, and the forwarder hands them on, in
    order. From then on no answer waits for Kafka, until it has caught up.
    """

    def __init__(self, log: SafeLog, loop: asyncio.AbstractEventLoop) -> None:
        self.partitions = log.partitions
        self._log = log
        self._loop = loop
        self._forwarder: Forwarder | None = None
        self._waiting: deque[_Waiting] = deque()
        self._ends: dict[int, int] = {}
        """By partition, the newest line that was written."""
        self._waits = True
        self._is_woken = False
        self._sweeper = loop.create_task(self._sweep())

    def follow(self, forwarder: Forwarder) -> None:
        """This one hands the log on."""
        self._forwarder = forwarder

    def progressed(self) -> None:
        """More is in Kafka; called by the forwarder's thread."""
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._wake)

    async def add(self, entries: list[Entry]) -> object:
        """Return once these are safe. Raises NotTaken, within a second."""
        ends = await self._log.add(entries)
        self._ends.update(ends)
        forwarder = self._forwarder
        if not ends or not self._waits or forwarder is None or not forwarder.is_connected:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(_Waiting(ends, future, self._loop.time() + PATIENCE_SECONDS))
        await future
        return None

    def not_ready(self) -> str | None:
        """The log is what counts: with Kafka away, check-ins are taken."""
        return self._log.not_ready()

    def metrics(self) -> list[Metric]:
        """How the log and Kafka are doing."""
        forwarder = self._forwarder
        connected = forwarder is not None and forwarder.is_connected and self._waits
        forwarded = 0 if forwarder is None else forwarder.forwarded
        return [
            *self._log.metrics(),
            GaugeMetricFamily("cronwax_intake_kafka_up", "1 while Kafka takes check-ins.", value=connected),
            CounterMetricFamily("cronwax_intake_forwarded", "Messages handed on to Kafka.", value=forwarded),
        ]

    def close(self) -> None:
        """Nothing more is waited for."""
        self._sweeper.cancel()

    def _wake(self) -> None:
        self._is_woken = False
        forwarder = self._forwarder
        if forwarder is None:
            return
        delivered = forwarder.delivered
        waiting = self._waiting
        for _ in range(len(waiting)):
            each = waiting.popleft()
            if all(delivered[partition] >= end for partition, end in each.ends.items()):
                if not each.future.done():
                    each.future.set_result(None)
            else:
                waiting.append(each)
        if not self._waits and all(delivered[partition] >= end for partition, end in self._ends.items()):
            self._waits = True

    async def _sweep(self) -> None:
        """Answer those that have waited long enough: what they brought is in the log."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._loop.time()
            while self._waiting and (self._waiting[0].deadline <= now or self._waiting[0].future.done()):
                each = self._waiting.popleft()
                if not each.future.done():
                    self._waits = False
                    each.future.set_result(None)
