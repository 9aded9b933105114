"""Whether a tick could be trusted: what was decided about the volume of check-ins, as the lifecycle needs to know it.

A tick is a whole minute that the event clock has reached; tick M is decided by the volume of minute M - 1, which it
closes (`dataflow.monitors.volume` decides).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dataflow.monitors.silences import Silence
from dataflow.monitors.times import FAR_MINUTE, NO_MINUTE, Minute

KEPT_MINUTES = 60 * 24 * 60
"""How long a system incident is remembered: longer than any margin or run that is worth asking about."""


class Decision(IntEnum):
    """What a tick turned out to be, or is until more is known."""

    NORMAL = 0
    """As many check-ins as on other days: what is missing is missing."""
    ABNORMAL = 1
    """Too few, perhaps by chance: it becomes NORMAL or INCIDENT."""
    INCIDENT = 2
    """Check-ins are being lost on their way: what is missing may have happened."""
    RECOVERING = 3
    """As many as usual again, not yet for long: it becomes NORMAL or INCIDENT."""


DECISION_NAMES = tuple(decision.name.lower() for decision in Decision)


class TickEvent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A tick that is not plainly NORMAL with nothing pending before it."""

    tick: Minute
    decision: int
    """A `Decision`, final if the tick is settled by itself."""
    settled_until: Minute
    """All ticks up to this one are settled; from the next one on they are pending."""
    verdict: int = Decision.NORMAL
    """As what those are settled that were pending: NORMAL or INCIDENT."""
    incident_start: Minute = NO_MINUTE
    """With an INCIDENT: the first minute of the system incident."""


class Decisions(msgspec.Struct, array_like=True):
    """What is known of the ticks."""

    minute: Minute = NO_MINUTE
    """All ticks up to this one have been taken."""
    clear_until: Minute = NO_MINUTE
    """All ticks up to this one are NORMAL, whatever comes: there is nothing to compare them with."""
    pending_from: Minute = FAR_MINUTE
    """Ticks from this one on are pending; FAR_MINUTE: none is."""
    incidents: list[tuple[Minute, Minute]] = msgspec.field(default_factory=list)
    """System incidents, oldest first: the first minute that lacks check-ins, and the first that does not."""
    maintenances: list[Silence] = msgspec.field(default_factory=list)
    """In which misses and time-outs do not count, whatever ticks are decided as (`monitors.silences`)."""

    @property
    def known_until(self) -> Minute:
        """The last tick about which something is known."""
        return max(self.minute, self.clear_until)

    def take(self, event: TickEvent) -> None:
        """Learn of a tick that is not plainly NORMAL."""
        tick = event.tick
        if event.decision == Decision.INCIDENT:
            if self.incidents and self.incidents[-1][0] == event.incident_start:
                self.incidents.pop()
            self.incidents.append((event.incident_start, tick))
            while self.incidents[0][1] < tick - KEPT_MINUTES:
                del self.incidents[0]
        self.pending_from = event.settled_until + 1 if event.settled_until < tick else FAR_MINUTE

    def lost_in(self, since_minute: Minute, tick: Minute) -> Minute | None:
        """The first minute of the system incident in which a check-in between the two may have been lost; None if
        there was none."""
        for start, end in reversed(self.incidents):
            if end <= since_minute:
                break
            if start < tick:
                return start
        return None


ALL_NORMAL = FAR_MINUTE
"""`clear_until` where nobody judges volumes."""
