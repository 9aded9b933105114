"""Minutes judged by how many check-ins came, and system incidents."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import Row, Spec, TimeUs


class ClockTickRow(Row, frozen=True, kw_only=True):
    """Minutes that the event clock has reached, and whether what was missing then was really missing.
    Minutes in which nothing came, nor ever comes, have no row."""

    TABLE: ClassVar = Spec("clock_ticks", identity=("minute",), retained_by="minute")

    minute: Annotated[
        TimeUs,
        "The tick: misses and time-outs that are due in this minute fire at it. It is decided by the "
        "check-ins of the minute before.",
    ]
    volume: Annotated[int, "How many check-ins came in the minute before this one."]
    expected: Annotated[
        float | None,
        "How many come in that minute on other days: the median; NULL with fewer than 3 days to compare "
        "with.",
    ]
    deviation: Annotated[
        float | None,
        "By how many per cent the volume is above that (below: negative); NULL where nothing is expected.",
    ]
    decision: Annotated[
        str,
        "normal: what is missing is missing. incident: check-ins are being lost, what is missing may have"
        " happened. abnormal, recovering: pending, it will be one of the other two.",
    ]
    decided_at: Annotated[
        TimeUs | None,
        "The tick at which that was decided; NULL while pending. Later than minute: misses and time-outs "
        "waited until then.",
    ]


class SystemIncidentRow(Row, frozen=True, kw_only=True):
    """Internal: system_incidents without what they cost."""

    TABLE: ClassVar = Spec("system_incident_spans", identity=("system_incident_id",))

    system_incident_id: Annotated[str, "32 hex digits, derived from its first minute."]
    start: Annotated[TimeUs, "The first minute that lacks check-ins."]
    end: Annotated[TimeUs | None, "The first minute that has as many as usual again; NULL while it goes on."]
    detected_at: Annotated[TimeUs, "The tick at which that was decided, and its message sent."]
    ended_at: Annotated[TimeUs | None, "The tick at which its end was decided, and its message sent."]
    volume: Annotated[int, "Check-ins in the minute that decided it."]
    expected: Annotated[float | None, "How many come in that minute on other days."]


class SystemIncidentLossRow(Row, frozen=True, kw_only=True):
    """Internal: what system incidents cost, by key group of monitors (system_incidents adds it up)."""

    TABLE: ClassVar = Spec("system_incident_losses", identity=("system_incident_id", "key_group"))

    system_incident_id: Annotated[str, "The system incident."]
    key_group: Annotated[int, "The key group."]
    held: Annotated[int, "Misses and time-outs that waited for the decision and then became unknown."]
    dropped: Annotated[int, "All misses and time-outs that became unknown, those that were held among them."]
    in_progress: Annotated[
        int,
        "Check-ins in progress that became unknown, and whose end has not come after all.",
    ]
