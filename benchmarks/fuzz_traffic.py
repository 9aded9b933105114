"""What the fuzzer sends: calm monitors, and mutated messages between theirs, over several partitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from benchmarks import mutations
from benchmarks.inputs import SEED, START_S
from benchmarks.live import packed

PARTITIONS = 4
CALM_MONITORS = 25
CALM = "calm-"
"""What the slugs of calm monitors begin with."""
CALM_PROJECT = 77
CALM_ORGANIZATION = 314_159_265
MINUTE_WILD = 180
"""Mutated messages a minute, of a short stream."""
CONTROLS_EVERY = 20
"""One mutated control for so many mutated messages."""
UNTRUE_TIMES_ONE_IN = 500
PULSE = bytes(msgpack.packb({"message_type": "clock_pulse"}))
ORGANIZATIONS = {
    CALM_PROJECT: CALM_ORGANIZATION,
    **dict(zip(mutations.PROJECTS, mutations.ORGANIZATIONS * 2, strict=True)),
}


class Reading(IntEnum):
    """What an independent reader makes of a message."""

    CHECK_IN = 1
    """It must be taken, or rejected with a processing error."""
    PULSE = 2
    """It must leave nothing."""
    UNREADABLE = 3
    """It must be in the dead letters."""
    UNSURE = 4
    """Readers may differ: anything but silence, or a pulse."""


class Sent(NamedTuple):
    """One message for the check-ins topic."""

    partition: int
    at_ms: int
    value: bytes
    is_wild: bool
    due_ms: int
    """When it was sent, also of a mutated message with an untrue time."""


@dataclass
class Traffic:
    """The stream, the same for the same size."""

    messages: int
    seed: int = SEED
    large_one_in: int = 2_000
    wild_a_minute: int = MINUTE_WILD
    """Mutated messages: the more, the shorter the stream, and the fewer the misses of the monitors that they make."""
    is_calm: bool = False
    """Send a pulse in the place of whatever is mutated, and no control."""
    controls: list[tuple[int, bytes]] = field(default_factory=list)
    """(time in ms, control), of as many of the messages as were made."""

    @property
    def minutes(self) -> int:
        """How long it goes on."""
        return max(3, self.messages // (self.wild_a_minute + CALM_MONITORS))

    @property
    def end_minute(self) -> int:
        """Where the event clock ends."""
        return START_S // 60 + self.minutes + 10

    def __iter__(self) -> Iterator[Sent]:
        """All messages in order of time; two of a partition never have times out of order, unless untrue."""
        mutator, chance = mutations.Mutator(self.seed, self.large_one_in), Random(self.seed + 1)
        jobs = [_Job(number, Random(self.seed * 1_000 + number)) for number in range(CALM_MONITORS)]
        self.controls = []
        waiting: list[tuple[int, int, bytes]] = []
        begin_ms = START_S * 1000
        for number in range(3 * PARTITIONS):  # a partition's very first ones, with times of 1970
            value = PULSE if self.is_calm else mutator.message(begin_ms / 1000)
            at_ms = begin_ms if self.is_calm else 1 + number
            yield Sent(number % PARTITIONS, at_ms, value, True, begin_ms)
        for minute in range(self.minutes):
            begin_ms = (START_S + 60 * minute) * 1000
            for job in jobs:
                waiting.extend((at_ms, job.partition, value) for at_ms, value in job.run(minute, begin_ms))
            waiting.sort(key=lambda each: each[:2])
            due = [each for each in waiting if each[0] < begin_ms + 60_000]
            waiting = waiting[len(due) :]
            yield from self._minute(minute, begin_ms, due, mutator, chance)
        end_ms = (START_S + 60 * (self.minutes + 10)) * 1000 + 30_000
        for partition in range(PARTITIONS):
            yield Sent(partition, end_ms, PULSE, False, end_ms)

    def _minute(
        self,
        minute: int,
        begin_ms: int,
        due: list[tuple[int, int, bytes]],
        mutator: mutations.Mutator,
        chance: Random,
    ) -> Iterator[Sent]:
        # Not in the first minute: the calm monitors are there before anything else goes wrong.
        times = sorted(
            begin_ms + chance.randrange(60_000) for _ in range(self.wild_a_minute if minute else 0)
        )
        for number, at_ms in enumerate(times):
            while due and due[0][0] <= at_ms:
                calm_ms, partition, value = due.pop(0)
                yield Sent(partition, calm_ms, value, False, calm_ms)
            partition, is_untrue = chance.randrange(PARTITIONS), chance.randrange(UNTRUE_TIMES_ONE_IN) == 0
            if self.is_calm:
                yield Sent(partition, at_ms, PULSE, True, at_ms)
                continue
            if number % CONTROLS_EVERY == 0:
                self.controls.append((at_ms, mutator.control(at_ms / 1000)))
            value = mutator.message(at_ms / 1000)
            yield Sent(partition, mutator.time_ms(at_ms) if is_untrue else at_ms, value, True, at_ms)
        for calm_ms, partition, value in due:
            yield Sent(partition, calm_ms, value, False, calm_ms)


class _Job:
    """A job that succeeds, fails, hangs, stays away: every so many minutes."""

    def __init__(self, number: int, chance: Random) -> None:
        self._chance = chance
        self._number = number
        self._slug = f"{CALM}{number}"
        self._every = chance.choice((1, 2, 3, 5))
        self._second = chance.randrange(1, 50)
        self.partition = crc32(self._slug.encode()) % PARTITIONS

    def run(self, minute: int, begin_ms: int) -> Iterator[tuple[int, bytes]]:
        """What it sends of the run of this minute, if it has one."""
        if minute % self._every:
            return
        at_ms, chance = begin_ms + 1000 * self._second, self._chance
        kind = chance.choices(range(8), (70, 5, 5, 10, 2, 3, 2, 3))[0] if minute else 7
        if kind == 1:
            yield at_ms, self._body(at_ms, "error")
        elif kind in (3, 5):
            guid = None if kind == 3 else "0" * 32
            guid = guid or f"{chance.getrandbits(127) + 1:032x}"
            later_ms = at_ms + chance.randrange(1_000, 200_000)
            yield at_ms, self._body(at_ms, "in_progress", check_in_id=guid)
            yield later_ms, self._body(later_ms, chance.choice(("ok", "error")), check_in_id=guid)
        elif kind == 4:
            yield at_ms, self._body(at_ms, "in_progress")
        elif kind == 6:
            yield at_ms, self._body(at_ms, "ok", environment="staging")
        elif kind == 7:
            yield at_ms, self._body(at_ms, "ok", monitor_config=self._config())
        elif kind == 0:
            yield at_ms, self._body(at_ms, "ok", duration=round(chance.uniform(0, 20), 3))

    def _body(self, at_ms: int, status: str, **more: Any) -> bytes:
        guid = f"{self._chance.getrandbits(127) + 1:032x}"
        body = {"check_in_id": guid, "monitor_slug": self._slug, "status": status, **more}
        return packed(json.dumps(body).encode(), CALM_PROJECT, at_ms / 1000 - 0.05)

    def _config(self) -> dict[str, Any]:
        crontab = {"type": "crontab", "value": f"*/{self._every} * * * *"}
        interval = {"type": "interval", "value": self._every, "unit": "minute"}
        return {
            "schedule": crontab if self._number % 2 else interval,
            "checkin_margin": self._chance.choice((1, 2)),
            "max_runtime": 3,
            "failure_issue_threshold": self._number % 3 + 1,
            "recovery_threshold": self._number % 2 + 1,
        }


_DEEP = 200
"""Readers differ in how deep they follow."""
_KNOWN = {"message_type", "payload", "start_time", "project_id", "sdk"}


def reading(value: bytes) -> Reading:
    """What other readers (msgpack's, Python's json) make of a message; UNSURE where they need not agree with ours."""
    try:
        wrapper: Any = msgpack.unpackb(
            value, unicode_errors="surrogateescape", strict_map_key=False, object_pairs_hook=list
        )
    except (ValueError, msgpack.UnpackException) as error:
        # A timestamp that cannot be one: to whoever passes over the field that it is in, it is no fault.
        is_timestamp = any(word in str(error) for word in ("timestamp", "nanoseconds"))
        return Reading.UNSURE if is_timestamp else Reading.UNREADABLE
    except (RecursionError, TypeError):
        return Reading.UNSURE
    if (
        not isinstance(wrapper, list)
        or not value
        or not (value[0] & 0xF0 == 0x80 or value[0] in (0xDE, 0xDF))
    ):
        return Reading.UNREADABLE
    if any(not _is_text(pair[0]) for pair in wrapper) or _depth(wrapper) > _DEEP:
        return Reading.UNSURE
    keys = [pair[0] for pair in wrapper if pair[0] in _KNOWN]
    fields = dict(pair for pair in wrapper if pair[0] in _KNOWN)
    if len(keys) > len(fields):  # the last one counts to us, but each must be of its type
        return Reading.UNSURE
    kind = fields.get("message_type")
    if kind == "clock_pulse":
        return Reading.PULSE if len(fields) == 1 else Reading.UNSURE
    if kind != "check_in":
        return Reading.UNREADABLE
    return _check_in(fields)


def _check_in(fields: dict[str, Any]) -> Reading:
    start: Any = fields.get("start_time")
    project = fields.get("project_id")
    payload, sdk = fields.get("payload"), fields.get("sdk")
    is_number = isinstance(start, int | float) and not isinstance(start, bool)
    if not is_number or not start >= 0 or not isinstance(project, int) or isinstance(project, bool):
        return Reading.UNSURE if isinstance(project, float) else Reading.UNREADABLE
    if project < 0 or not isinstance(payload, bytes | str):
        return Reading.UNREADABLE
    if sdk is not None and not _is_text(sdk):
        return Reading.UNSURE if isinstance(sdk, str) else Reading.UNREADABLE
    return _payload(payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else payload)


def _payload(payload: bytes) -> Reading:
    try:
        text = payload.decode()
        found = json.loads(text, parse_constant=_no_constant)
    except UnicodeDecodeError:
        return Reading.UNSURE  # nobody looks into the texts of keys that are ignored
    except (ValueError, RecursionError) as error:
        return (
            Reading.UNSURE
            if isinstance(error, RecursionError) or "digits" in str(error)
            else Reading.UNREADABLE
        )
    if not isinstance(found, dict):
        return Reading.UNREADABLE
    if _depth(found) > _DEEP or "\\ud" in text.lower():
        return Reading.UNSURE
    return Reading.CHECK_IN


def _is_text(value: Any) -> bool:
    """Whether it is a text that is valid UTF-8."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _DEEP:
        deepest += 1
        level = [
            inner
            for each in level
            if isinstance(each, list | tuple | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest
