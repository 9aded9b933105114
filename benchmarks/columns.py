"""columns: a prototype. What usual check-ins and snapshots of the transition step would cost if what changes were kept
in records or columns, whose copy is a memcpy, and not in an object for each environment.

Every contender applies the same check-ins, all ok, to `--size` monitors in 64 key groups: six epochs, in each of which
two thirds of the monitors are heard of. Deadlines, rows and the engine are not part of it.

- `objects`: as the flow does it; what changes is encoded ahead of the epoch's end (`transition_state.SavedMonitors`).
- `records`: an environment is some bytes in its key group's. For each check-in it becomes an `Environment`, which the
  plain rules are applied to, and bytes again.
- `columns`: an array for each field. Only what the rules ask of a usual check-in, and what it changes, is read and
  written, by hand: the least that rules on columns of Python can cost.
"""

from __future__ import annotations

import time
import tracemalloc
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from functools import partial
from random import Random
from struct import Struct

from benchmarks.inputs import SEED, START_S
from benchmarks.report import Figures, Report, interleaved, ratio
from dataflow.monitors.check_in import OK, CheckIn, first_tick_after
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import REMEMBERED_GUIDS, Environment, fingerprint
from dataflow.monitors.group_state import GroupState
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Key, Monitor, MonitorState
from dataflow.monitors.noted import Noted
from dataflow.monitors.times import FAR_MINUTE, MINUTE_US, NO_MINUTE, Microseconds, Minute
from dataflow.monitors.tuning import DEFAULT_TUNING
from dataflow.monitors.usual import take_usual
from dataflow.steps.transition_state import SavedMonitors

SIZE = 120_000
_GROUPS = 64
_EPOCHS = 6
_BATCH = 64
"""Of a key group's check-ins, so many come in one call."""
_SOURCE = 1
_CONFIG = MonitorConfig(schedule_type="crontab", schedule="*/5 * * * *")
_PRINT_BYTES = 8
_RING_BYTES = REMEMBERED_GUIDS * _PRINT_BYTES


def run(size: int, runs: int) -> Report:
    """Monitors (`size`), and six epochs."""
    report = Report("columns", size, runs)
    kinds: dict[str, type[_Group]] = {"objects": _Objects, "records": _Records, "columns": _Columns}
    found = interleaved(report, {name: partial(_measured, kind, size) for name, kind in kinds.items()})
    for name in ("records", "columns"):
        for figure in ("check_in_us", "epoch_mb", "bytes_a_monitor"):
            report.ratios[f"{figure}, {name} to objects"] = ratio(found[name], found["objects"], figure)
    return report


class _Group(ABC):
    """A key group's monitors, each with one environment, known by their places."""

    @abstractmethod
    def __init__(self, keys: list[Key]) -> None: ...

    @abstractmethod
    def take(self, items: list[tuple[int, CheckIn]]) -> None:
        """Apply check-ins, each with the place of its monitor; and what is done ahead of the epoch's end."""

    @abstractmethod
    def snapshot(self) -> int:
        """What the end of an epoch does; the bytes that are to be written."""


class _Objects(_Group):
    """As `monitors.group` and `transition_state` do it."""

    def __init__(self, keys: list[Key]) -> None:
        self._monitors = {key: _monitor(key, _environment()) for key in keys}
        self._keys = keys
        self._saved, self._noted = SavedMonitors(), Noted()
        self._saved.state(GroupState(), self._monitors, [])
        self._written = 0

    def take(self, items: list[tuple[int, CheckIn]]) -> None:
        journal = Journal()
        for _, item in items:
            monitor = self._monitors[item.project_id, item.slug]
            environment = monitor.first
            assert environment is not None
            assert take_usual(monitor, environment, item, journal) is not None
            self._noted.add(monitor)
        self._saved.work(self._monitors, self._noted)

    def snapshot(self) -> int:
        state = self._saved.state(GroupState(), self._monitors, self._noted.take())
        size = sum(map(len, state.blocks))
        before, self._written = self._written, size
        return max(size - before, 0)


_RECORD = Struct("<B?qqqqHqqqqqqqi?H")


class _Records(_Group):
    """Environments as bytes; the rules see an environment."""

    def __init__(self, keys: list[Key]) -> None:
        self._monitors = [_monitor(key, None) for key in keys]
        self._places = {key: place for place, key in enumerate(keys)}
        self._width = _RECORD.size + _RING_BYTES
        self._bytes = bytearray(self._width * len(keys))
        for place in range(len(keys)):
            self._store(place, _environment())

    def take(self, items: list[tuple[int, CheckIn]]) -> None:
        journal = Journal()
        for _, item in items:
            place = self._places[item.project_id, item.slug]
            monitor, environment = self._monitors[place], self._load(place)
            assert take_usual(monitor, environment, item, journal) is not None
            self._store(place, environment)

    def _load(self, place: int) -> Environment:
        at = place * self._width
        (
            status, is_muted, last, next_, latest, due, oks, last_ok, newest, source, scheduled, succeeded, failed,
            changed, decided, is_saved, prints,
        ) = _RECORD.unpack_from(self._bytes, at)  # fmt: skip
        at += _RECORD.size
        return Environment(
            "production", status, is_muted, last, next_, latest, due, None, None, b"", None, oks, None, last_ok, newest,
            source, scheduled, None, None, None, succeeded, failed, b"", changed, decided, None,
            bytes(self._bytes[at : at + prints]), b"", b"", is_saved,
        )  # fmt: skip

    def _store(self, place: int, of: Environment) -> None:
        at = place * self._width
        prints = (of.finished_prints + of.fresh_prints)[-_RING_BYTES:]
        _RECORD.pack_into(
            self._bytes, at, of.status, of.is_muted, of.last_checkin_us, of.next_minute, of.latest_minute,
            of.due_minute, of.oks, of.last_ok_us, of.newest_result_us, of.source or 0, of.scheduled_minute,
            of.succeeded_us, of.failed_us, of.changed_us, of.decided, of.is_saved, len(prints),
        )  # fmt: skip
        at += _RECORD.size
        self._bytes[at : at + len(prints)] = prints

    def snapshot(self) -> int:
        return len(bytes(self._bytes))


class _Columns(_Group):
    """A column for each field; no environment is made."""

    def __init__(self, keys: list[Key]) -> None:
        count = len(keys)
        self._monitors = [_monitor(key, None) for key in keys]
        self._places = {key: place for place, key in enumerate(keys)}
        self._due, self._latest = array("q", [FAR_MINUTE]) * count, array("q", [FAR_MINUTE]) * count
        self._next, self._source = array("q", [NO_MINUTE]) * count, array("q", [_SOURCE]) * count
        self._unusual, self._status = bytearray(count), bytearray(count)
        self._last, self._last_ok, self._newest, self._succeeded, self._failed = (
            array("q", [-1]) * count for _ in range(5)
        )
        self._prints, self._newest_print = bytearray(count * _RING_BYTES), bytearray(count)

    def take(self, items: list[tuple[int, CheckIn]]) -> None:
        due, latest, failed, ring = self._due, self._latest, self._failed, self._prints
        for _, item in items:
            place = self._places[item.project_id, item.slug]
            start_us = item.start_us
            added_us = start_us - (item.duration_ms or 0) * 1_000
            known, at = fingerprint(item.guid), place * _RING_BYTES
            is_usual = (
                item.status <= OK
                and due[place] > item.clock_minute
                and latest[place] > start_us // MINUTE_US
                and not self._unusual[place]
                and self._source[place] == item.source
                and failed[place] <= added_us
                and ring.find(known, at, at + _RING_BYTES) < 0
            )
            assert is_usual
            slot = self._newest_print[place]
            ring[at + slot * _PRINT_BYTES : at + (slot + 1) * _PRINT_BYTES] = known
            self._newest_print[place] = (slot + 1) % REMEMBERED_GUIDS
            monitor = self._monitors[place]
            if self._last[place] <= start_us:
                self._plan(place, monitor, item, added_us)
            for column in (self._newest, self._last_ok, self._succeeded):
                if added_us > column[place]:
                    column[place] = added_us
            self._status[place] = 1

    def _plan(self, place: int, monitor: Monitor, item: CheckIn, added_us: int) -> None:
        first_tick = first_tick_after(item, DEFAULT_TUNING.clock_delay_us)
        if added_us > self._last[place]:
            self._last[place] = added_us
        following = monitor.schedule.after(item.start_us)
        latest = following + monitor.margin_minutes
        self._next[place], self._latest[place] = following, latest
        self._due[place] = latest if latest > first_tick else first_tick

    def snapshot(self) -> int:
        columns = [value for value in vars(self).values() if isinstance(value, array | bytearray)]
        return sum(
            len(column.tobytes()) if isinstance(column, array) else len(bytes(column)) for column in columns
        )


def _environment() -> Environment:
    environment = Environment.new("production")
    environment.source = _SOURCE
    return environment


def _monitor(key: Key, environment: Environment | None) -> Monitor:
    environments = {environment.name: environment} if environment is not None else {}
    return Monitor.restore(MonitorState(*key, key[1], False, False, _CONFIG, environments))


def _keys(size: int) -> list[list[Key]]:
    """The monitors of each key group."""
    return [
        [(number // 50, f"job-{number:07d}") for number in range(at, size, _GROUPS)] for at in range(_GROUPS)
    ]


def _calls(keys: list[list[Key]], epoch: int) -> Iterator[tuple[int, list[tuple[int, CheckIn]]]]:
    """Of each call the key group, and its check-ins: two thirds of all monitors, in an order of their own."""
    random = Random(SEED + epoch)
    for group, there in enumerate(keys):
        places = random.sample(range(len(there)), 2 * len(there) // 3)
        for at in range(0, len(places), _BATCH):
            chosen = places[at : at + _BATCH]
            yield group, [(place, _check_in(there[place], epoch, random)) for place in chosen]


def _check_in(key: Key, epoch: int, random: Random) -> CheckIn:
    at_us = Microseconds((START_S + 10 * epoch) * 1_000_000 + random.randrange(10_000_000))
    return CheckIn(
        organization_id=1,
        project_id=key[0],
        slug=key[1],
        environment="production",
        guid=random.randbytes(16),
        status=OK,
        duration_ms=1_000,
        trace_id=None,
        config=None,
        sdk=None,
        start_us=at_us,
        received_us=at_us,
        clock_minute=Minute(at_us // MINUTE_US),
        topic="checkins",
        partition=0,
        offset=0,
        source=_SOURCE,
        payload=b"",
    )


def _measured(kind: type[_Group], size: int) -> Figures:
    keys = _keys(size)
    tracemalloc.start()
    groups = [kind(there) for there in keys]
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    taking_s, pauses_s, written, taken = 0.0, [], [], 0
    for epoch in range(_EPOCHS):
        for group, items in _calls(keys, epoch):
            began = time.thread_time()
            groups[group].take(items)
            taking_s += time.thread_time() - began
            taken += len(items)
        began = time.thread_time()
        written.append(sum(group.snapshot() for group in groups))
        pauses_s.append(time.thread_time() - began)
    return {
        "check_in_us": 1e6 * (taking_s + sum(pauses_s)) / taken,
        "pause_ms": 1e3 * max(pauses_s),
        "epoch_mb": sum(written) / len(written) / 1e6,
        "bytes_a_monitor": kept / size,
    }
