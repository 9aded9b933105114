"""The running state of one monitor environment."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dataflow.monitors.records import Failure, Flapping, Incident
from dataflow.monitors.run import Held, Run
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, NO_TIME, Microseconds, Minute

NOT_KEPT = Microseconds(-2)
"""Stands for "not in this snapshot", in µs."""
SPREAD = -1
"""Stands for "several partitions"."""
REMEMBERED_GUIDS = 50
"""Of each kind, check-ins of an environment that are still known by their guid (SPEC, section 13): those that the job
finished, those that timed out or are unknown, and misses. None pushes out those of another kind."""
_GUID_BYTES = 16
_PRINT_BYTES = 8
_ALL_PRINTS_BYTES = _PRINT_BYTES * REMEMBERED_GUIDS
AS_BEFORE = b"+"
"""Stands for the fingerprints that an earlier part of a snapshot holds of the environment (fingerprints themselves have
another length): half of an environment is not written again with each of its check-ins."""
_PRINT_PRIME = 0x9E3779B97F4A7C55
"""The first prime above 2**64 divided by the golden ratio: guids that differ in either half, count up, or hold a day in
one half and a number in the other, have remainders far apart (D. Knuth, The Art of Computer Programming 3, 6.4)."""

_from_bytes = int.from_bytes


class EnvironmentStatus(IntEnum):
    """What an environment looks like to the person who is on call."""

    ACTIVE = 0
    """Nothing finished yet."""
    OK = 1
    """The last result that counted was a success, or too few failed in a row."""
    ERROR = 2
    """An incident is open."""


ENVIRONMENT_STATUS_NAMES = tuple(status.name.lower() for status in EnvironmentStatus)


class Environment(msgspec.Struct, array_like=True, gc=False):
    """One monitor environment. In snapshots by position: new fields go to the end, with a default."""

    name: str
    status: int = EnvironmentStatus.ACTIVE
    is_muted: bool = False
    last_checkin_us: Microseconds = NO_TIME
    next_minute: Minute = NO_MINUTE
    latest_minute: Minute = FAR_MINUTE
    """`next_checkin_latest`; FAR_MINUTE if nothing is expected."""
    due_minute: Minute = FAR_MINUTE
    """The first tick at which a miss may fire: that of latest_minute, or the first after it was set."""
    runs: dict[bytes, Run] | None = None
    """In progress, by guid."""
    settled: dict[bytes, Run] | None = None
    """Timed out or unknown, by guid, oldest first: they still take a late result."""
    finished: bytes = b""
    """Of releases before 0.1.0: the guids of the newest ok and error check-ins, oldest first."""
    failures: list[Failure] | None = None
    """The failing check-ins in a row while no incident is open."""
    oks: int = 0
    """The successes in a row while an incident is open."""
    incident: Incident | None = None
    last_ok_us: Microseconds = NO_TIME
    """date_added of the newest success."""
    newest_result_us: Microseconds = NO_TIME
    """date_added of the newest check-in that the job itself finished."""
    source: int | None = None
    """The partition that its check-ins come from; SPREAD if there are several."""
    scheduled_minute: Minute = FAR_MINUTE
    """The minute of this environment's entry among its key group's deadlines."""
    held: list[Held] | None = None
    """What has not counted yet, in order; the first is a failure."""
    flapping: Flapping | None = None
    records: dict[str, list[int]] | None = None
    """What further kinds of alarm keep, by their names (`monitors.alarms`): whole numbers."""
    succeeded_us: Microseconds = NOT_KEPT
    """The newest date_added of the successes that have been judged (one that is held has not): a failing run that began
    before it does not count."""
    failed_us: Microseconds = NOT_KEPT
    """The newest date_added of the failing check-ins that have been judged: a success that began before it does not
    count. A time-out that ends well after all has failed, too."""
    missed: bytes = b""
    """Of releases before 0.1.0: the guids of the newest missed check-ins, oldest first."""
    changed_us: Microseconds = NO_TIME
    """When a check-in of this environment last changed schedule, zone or margin (the broker's timestamp of it)."""
    decided: int = 0
    """How many decisions about results have been recorded (`run_decisions.place`)."""
    sdk: str | None = None
    """What sent its newest check-in that says so."""
    finished_prints: bytes = b""
    """The fingerprints of the guids of the newest ok and error check-ins, oldest first, but for fresh ones."""
    missed_prints: bytes = b""
    """Those of the newest missed check-ins, oldest first."""
    fresh_prints: bytes = b""
    """Those of ok and error check-ins since the environment was last saved, oldest first."""
    is_saved: bool = False
    """What is not fresh is in a part of the last snapshot, or of the next one."""

    @classmethod
    def new(cls, name: str) -> Environment:
        """An environment that nothing is known of."""
        return cls(name, succeeded_us=NO_TIME, failed_us=NO_TIME)

    def complete(self) -> None:
        """Make up for what snapshots of releases before 0.1.0 do not hold: when runs that were judged began, and
        fingerprints instead of guids."""
        if self.finished or self.missed:
            self.finished_prints = _prints(self.finished) + self.finished_prints
            self.missed_prints = _prints(self.missed) + self.missed_prints
            self.finished = self.missed = b""
        if self.succeeded_us == NOT_KEPT:
            self.succeeded_us = self.last_ok_us
        if self.failed_us == NOT_KEPT:
            began = [failure.date_added_us for failure in self.failures or ()]
            if self.incident is not None:
                began.append(self.incident.starting_us)
            self.failed_us = max(began, default=NO_TIME)

    @property
    def is_flapping(self) -> bool:
        """Whether messages wait until it is calm."""
        return self.flapping is not None and self.flapping.is_flapping

    def plan(self, next_minute: Minute, margin_minutes: int, first_tick: Minute) -> None:
        """Expect the next check-in at `next_minute`; a miss fires at `first_tick` at the earliest."""
        self.next_minute = next_minute
        latest = next_minute + margin_minutes
        self.latest_minute = latest
        self.due_minute = latest if latest > first_tick else first_tick

    def remember(self, guid: bytes) -> None:
        """Know the guid of a check-in that the job has finished for good."""
        self.remember_print(fingerprint(guid))

    def remember_print(self, known: bytes) -> None:
        """The same, by the guid's fingerprint."""
        fresh = self.fresh_prints + known
        over = len(self.finished_prints) + len(fresh) - _ALL_PRINTS_BYTES
        if over > 0:
            if self.finished_prints:
                self.finished_prints = self.finished_prints[over:]
            else:
                fresh, self.is_saved = fresh[over:], False
        self.fresh_prints = fresh

    def fold(self) -> None:
        """All of it is being saved: nothing is fresh any more."""
        if self.fresh_prints:
            self.finished_prints += self.fresh_prints
            self.fresh_prints = b""

    def go_on_from(self, before: Environment | None) -> None:
        """Make up for what an earlier part of the same snapshot says. If that says nothing, a later part has to."""
        if self.finished_prints == AS_BEFORE and before is not None and before.finished_prints != AS_BEFORE:
            prints = before.finished_prints + self.fresh_prints
            self.finished_prints, self.fresh_prints = prints[-_ALL_PRINTS_BYTES:], b""

    @property
    def is_whole(self) -> bool:
        """Whether it does not leave to an earlier part of a snapshot what is not there."""
        return self.finished_prints != AS_BEFORE

    def remember_missed(self, guid: bytes) -> None:
        """Know the guid of a missed check-in."""
        self.missed_prints = self.missed_prints[-_PRINT_BYTES * (REMEMBERED_GUIDS - 1) :] + fingerprint(guid)

    def settle(self, run: Run) -> None:
        """Keep a check-in that was finished for the job, which may still report."""
        settled = self.settled
        if settled is None:
            settled = self.settled = {}
        settled[run.guid] = run
        if len(settled) > REMEMBERED_GUIDS:
            del settled[next(iter(settled))]

    def is_finished(self, guid: bytes) -> bool:
        """Whether the guid is of a check-in that is finished for good, as far as remembered.

        Fingerprints of 8 bytes say so wrongly of one new guid in 1e17.
        """
        return self.has_print(fingerprint(guid))

    def has_print(self, known: bytes) -> bool:
        """The same, by the guid's fingerprint."""
        finished, fresh, missed = self.finished_prints, self.fresh_prints, self.missed_prints
        # To look into an empty one takes as long as into forty.
        return bool(
            (finished and known in finished and _holds(finished, known))
            or (fresh and known in fresh and _holds(fresh, known))
            or (missed and known in missed and _holds(missed, known))
        )

    def end(self, run: Run) -> None:
        """The check-in is no longer in progress."""
        assert self.runs is not None
        del self.runs[run.guid]
        if not self.runs:
            self.runs = None  # an empty dictionary is larger than all the rest

    def knows(self, guid: bytes) -> bool:
        """Whether the guid is known here, in whatever status."""
        return bool(
            (self.runs and guid in self.runs)
            or (self.settled and guid in self.settled)
            or self.is_finished(guid)
        )

    def prints(self) -> list[bytes]:
        """The fingerprints of all guids that are known here."""
        known = [fingerprint(guid) for guid in (*(self.runs or ()), *(self.settled or ()))]
        return known + _split(self.finished_prints + self.fresh_prints + self.missed_prints)


def fingerprint(guid: bytes) -> bytes:
    """Eight bytes that stand for a guid where it is only asked for: half of what an environment takes in memory, and
    of what each snapshot holds, is guids that are remembered."""
    return (_from_bytes(guid) % _PRINT_PRIME).to_bytes(_PRINT_BYTES)


def _prints(guids: bytes) -> bytes:
    return b"".join(fingerprint(guids[at : at + _GUID_BYTES]) for at in range(0, len(guids), _GUID_BYTES))


def _holds(prints: bytes, known: bytes) -> bool:
    found = prints.find(known)
    while found > 0 and found % _PRINT_BYTES:
        found = prints.find(known, found + 1)
    return found >= 0


def _split(prints: bytes) -> list[bytes]:
    return [prints[at : at + _PRINT_BYTES] for at in range(0, len(prints), _PRINT_BYTES)]
