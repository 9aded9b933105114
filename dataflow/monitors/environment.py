"""The running state of one monitor environment."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dataflow.monitors.records import Failure, Flapping, Incident
from dataflow.monitors.run import Held, Run
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, NO_TIME, Microseconds, Minute

SPREAD = -1
"""Stands for "several partitions"."""
REMEMBERED_GUIDS = 50
"""Finished check-ins per environment that are still known by their guid (SPEC, section 7)."""
_GUID_BYTES = 16


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
    """The guids of the newest ok, error and missed check-ins, oldest first."""
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
        """Keep the guid of a check-in that is finished for good."""
        self.finished = self.finished[-_GUID_BYTES * (REMEMBERED_GUIDS - 1) :] + guid

    def settle(self, run: Run) -> None:
        """Keep a check-in that was finished for the job, which may still report."""
        settled = self.settled
        if settled is None:
            settled = self.settled = {}
        settled[run.guid] = run
        if len(settled) > REMEMBERED_GUIDS:
            oldest = next(iter(settled))
            del settled[oldest]
            self.remember(oldest)

    def is_finished(self, guid: bytes) -> bool:
        """Whether the guid is of a check-in that is finished for good, as far as remembered."""
        found = self.finished.find(guid)
        while found > 0 and found % _GUID_BYTES:
            found = self.finished.find(guid, found + 1)
        return found >= 0

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

    def guids(self) -> list[bytes]:
        """All guids that are known here."""
        finished = self.finished
        known = [finished[at : at + _GUID_BYTES] for at in range(0, len(finished), _GUID_BYTES)]
        return [*(self.runs or ()), *(self.settled or ()), *known]
