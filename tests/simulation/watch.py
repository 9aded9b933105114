"""The simulated fleet, watched: its check-ins through the steps, without engine, broker and tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from msgspec.structs import asdict

from dataflow.monitors.check_in import CheckIn, Control
from dataflow.monitors.organization import UNLIMITED, Limits
from dataflow.monitors.times import Microseconds, Minute
from dataflow.monitors.volume import VolumeRules
from dataflow.steps.gate import Gate
from dataflow.steps.transition import Transition
from dataflow.steps.upsert import Upsert
from dataflow.steps.volume import Judge
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import Chunk, Message, Records, Ticks, Volumes
from tests.simulation.fleet import Job, Plan, Sent, day_of, epoch_minute, make_fleet

MINUTE_US = 60_000_000


@dataclass
class Watched:
    """What came of it: rows by identity, and when (tick, epoch minutes) each message came out."""

    check_ins: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    ticks: dict[int, dict[str, Any]] = field(default_factory=dict)
    spans: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[bytes, tuple[int, int, str]] = field(default_factory=dict)
    """Failures told of, by check-in: detected at, told at (minutes), kind of failure."""

    def take(self, records: Records, minute: int) -> None:
        """Note what changed."""
        for name, rows in records.rows.items():
            for row in rows:
                named = asdict(row)
                if name == "check_ins":
                    if named["status"] in ("missed", "timeout", "unknown"):
                        self.check_ins[named["check_in_id"]] = named
                    else:
                        self.check_ins.pop(named["check_in_id"], None)
                elif name == "clock_ticks":
                    self.ticks[named["minute"] // MINUTE_US] = named
                elif name == "system_incident_spans":
                    self.spans[named["system_incident_id"]] = named
                elif name == "status_changes" and named["payload_type"] == "occurrence":
                    failed = self.check_ins.get(named["check_in_id"])
                    kind = failed["status"] if failed is not None else "error"
                    self.messages.setdefault(
                        named["check_in_id"], (named["created_at"] // MINUTE_US, minute, kind)
                    )


def watch(
    plan: Plan, all_rules: Sequence[VolumeRules | None], from_day: int = 0
) -> tuple[list[Watched], list[Job]]:
    """Simulate, and watch with each of these rules; before `from_day` check-ins are counted only, so that there is
    something to compare with."""
    jobs = make_fleet(plan)
    watchers = [_Steps(rules) for rules in all_rules]
    for day in range(plan.days):
        if day not in plan.alike:
            sent = [each for each in day_of(plan, jobs, day) if each.came_through]
            counts = Counter(each.received_us // MINUTE_US - epoch_minute(day) for each in sent)
        for steps in watchers:
            if day < from_day:
                steps.count(day, counts)
            else:
                steps.day(day, sent, [job for job in jobs if job.gone_on == day])
    return [steps.watched for steps in watchers], jobs


class _Steps:
    def __init__(self, rules: VolumeRules | None) -> None:
        self.watched = Watched()
        self._gate = Gate(1, Inputs(["all"]), Limits(1_000_000, UNLIMITED), 60, False, None)
        self._judge = Judge(1, 1, rules, None)
        self._upsert = Upsert(1, 10, None)
        self._transition = Transition(rules is not None, lambda: True, None)
        self._known: set[int] = set()
        self._offset = 0

    def count(self, day: int, counts: Mapping[int, int]) -> None:
        """A day that is only counted; of each of its minutes, how many came."""
        start, end = epoch_minute(day), epoch_minute(day + 1)
        volumes = {start + minute: count for minute, count in counts.items() if start + minute < end}
        self._tell(self._judge.apply([Volumes(0, 0, volumes, end)]), end)

    def day(self, day: int, sent: list[Sent], given_up: list[Job]) -> None:
        """A day that is watched, minute by minute."""
        start = epoch_minute(day)
        by_minute: list[list[Sent]] = [[] for _ in range(1440)]
        for each in sent:
            at = each.received_us // MINUTE_US - start
            by_minute[min(at, 1439)].append(each)
        deleted = [self._delete(job, start) for job in given_up]
        for at, each_minute in enumerate(by_minute):
            minute = start + at
            items = [self._item(each, minute - (n == 0)) for n, each in enumerate(each_minute)]
            self._apply(Chunk(0, 0, [*deleted, *items], minute), minute)
            deleted = []

    def _apply(self, chunk: Chunk, minute: int) -> None:
        upserted: list[Any] = []
        ticks: list[Any] = []
        for out in self._gate.apply([chunk]):
            if type(out) is Chunk:
                upserted += self._upsert.apply([out])
            elif type(out) is Volumes:
                ticks += self._judge.apply([out])
        self._tell(upserted + ticks, minute)
        items = [out for out in upserted + ticks if isinstance(out, Chunk | Ticks)]
        self._tell(self._transition.apply(items), minute)
        while self._transition.notify_at() is not None:  # more is due than one call takes
            self._tell(self._transition.on_notify()[0], minute)

    def _tell(self, outs: list[Any], minute: int) -> None:
        for out in outs:
            if isinstance(out, Records):
                self.watched.take(out, minute)
            else:
                assert isinstance(out, Message | Chunk | Ticks)

    def _item(self, sent: Sent, clock: int) -> CheckIn:
        job = sent.monitor
        config = None
        if job.number not in self._known:
            self._known.add(job.number)
            config = json.dumps(job.config).encode()
        self._offset += 1
        received_us = max(sent.received_us, clock * MINUTE_US)
        return CheckIn(
            1,
            job.project_id,
            job.slug,
            "production",
            sent.guid,
            sent.status,
            None,
            None,
            config,
            None,
            Microseconds(sent.received_us),
            Microseconds(received_us),
            Minute(clock),
            "simulation",
            0,
            self._offset,
            _SOURCE,
            b"",
        )

    def _delete(self, job: Job, minute: int) -> Control:
        self._offset += 1
        at_us = minute * MINUTE_US
        place = ("simulation", 0, self._offset)
        return Control(
            "delete_monitor",
            1,
            Microseconds(at_us),
            Minute(minute - 1),
            *place,
            b"",
            job.project_id,
            job.slug,
        )


_SOURCE = crc32(b"simulation/0")
