"""The embedded log as what makes check-ins safe, and as what readiness is asked of."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from cronwax.intake.commit import GroupCommit
from cronwax.intake.counts import Metric
from cronwax.intake.lines import Entry
from cronwax.intake.log_writer import LogWriter
from dataflow.connectors.intake_log import ALIVE

RESERVE_BYTES = 16 << 20
"""With less than that on the disk the intake is not ready: it may have to refuse the next check-in."""


class SafeLog:
    """Check-ins are safe when they are on the disk."""

    def __init__(
        self,
        folder: Path,
        writer: LogWriter,
        commit: GroupCommit,
        stall_seconds: float,
        is_followed: bool = True,
    ) -> None:
        """`is_followed`: a flow reads the log, and is expected to show that it is alive."""
        self._folder = folder
        self._commit = commit
        self._stall_seconds = stall_seconds
        self._started = time.time()
        self._is_followed = is_followed
        self.partitions = writer.partitions

    async def add(self, entries: list[Entry]) -> dict[int, int]:
        """Return once these are on the disk, with where they end by partition. Raises NotTaken, within a second."""
        return await self._commit.add(entries)

    def not_ready(self) -> str | None:
        """Why check-ins cannot be taken, or will not be judged: the log cannot be written, or the flow has stalled."""
        if (problem := self._commit.problem) is not None:
            return f"the log cannot be written: {problem}"
        if self._commit.is_stuck():
            return "the log cannot be written: the disk does not answer"
        free = os.statvfs(self._folder)
        if free.f_bavail * free.f_frsize < RESERVE_BYTES:
            return "the disk is full"
        if not self._is_followed:
            return None
        seen = self._flow_seen()
        if time.time() - max(seen, self._started) > self._stall_seconds:
            return "the flow has stalled: check-ins are taken, but not judged"
        return None

    def metrics(self) -> list[Metric]:
        """How the log is doing."""
        found = self._commit.statistics
        families: list[Metric] = [
            CounterMetricFamily("cronwax_intake_log_lines", "Lines written.", value=found.lines),
            CounterMetricFamily("cronwax_intake_log_bytes", "Bytes written.", value=found.bytes),
            CounterMetricFamily("cronwax_intake_log_groups", "Groups synced.", value=found.groups),
            CounterMetricFamily("cronwax_intake_log_failures", "Groups refused.", value=found.failures),
            CounterMetricFamily(
                "cronwax_intake_log_seconds", "Time spent writing and syncing.", value=found.seconds
            ),
            GaugeMetricFamily("cronwax_intake_ready", "1 while ready.", value=self.not_ready() is None),
        ]
        return families

    def _flow_seen(self) -> float:
        try:
            return (self._folder / ALIVE).stat().st_mtime
        except OSError:
            return 0.0
