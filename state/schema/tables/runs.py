"""Runs, incidents, messages and rejected messages: the tables that grow with every check-in."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import History, Id, Json, Row, Since, Spec, TimeUs, Uuid


class CheckInRow(Row, frozen=True, kw_only=True):
    """Runs of jobs, one row each: as reported, and the misses that were detected."""

    TABLE: ClassVar = Spec(
        "check_ins",
        identity=("project_id", "slug", "environment", "check_in_id"),
        history=History(
            "date_added", order=("project_id", "slug", "date_added"), movable="status <> 'in_progress'"
        ),
    )

    check_in_id: Annotated[
        Uuid,
        "The check-in's guid; that of a miss is derived from monitor, environment and expected time.",
    ]
    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    status: Annotated[
        str,
        "in_progress, ok, error (both reported by the job), missed, timeout, or unknown (was due or in "
        "progress while check-ins were being lost, or in a maintenance that says that misses do not count; or in "
        "progress while the monitor was disabled).",
    ]
    duration_ms: Annotated[
        int | None,
        "How long the run took, in milliseconds, as the job said or from its messages; while in progress, and of a "
        "time-out that never ended, how long it had taken at its last heartbeat. NULL if neither is known: of a miss, "
        "of a result that came alone and without a duration, without a heartbeat.",
    ]
    date_added: Annotated[TimeUs, "When the run began; of a miss: when it should have begun."]
    date_updated: Annotated[TimeUs, "When the check-in changed last (event time)."]
    expected_time: Annotated[TimeUs | None, "When the job was due; NULL for the first run of an environment."]
    timeout_at: Annotated[TimeUs | None, "When the run will count as timed out; NULL once finished."]
    trace_id: Annotated[Uuid | None, "The trace that the job sent along; NULL if none."]


class RunDecisionRow(Row, frozen=True, kw_only=True):
    """What was decided about failing runs, and about successes in an incident or that did not count: whether they
    counted, and why. An ordinary success has no row."""

    TABLE: ClassVar = Spec(
        "run_decisions",
        identity=("project_id", "slug", "environment", "check_in_id", "verdict"),
        history=History(
            "date_added", order=("project_id", "slug", "date_added"), movable="counted IS NOT NULL"
        ),
        since=4,
    )

    check_in_id: Annotated[Uuid, "The check-in (check_ins.check_in_id)."]
    verdict: Annotated[
        str, "As what it was judged: failure or success. A time-out that ends well after all has both."
    ]
    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    date_added: Annotated[
        TimeUs, "When the run began (check_ins.date_added): what decides whether it counts."
    ]
    noticed_at: Annotated[
        TimeUs,
        "When it was noticed: of a miss or a time-out the tick that found it, of a reported result the broker's "
        "timestamp of the message.",
    ]
    counted: Annotated[
        bool | None, "Whether it counted; NULL while that waits for the decision about its tick."
    ]
    overruled_by: Annotated[
        TimeUs | None,
        "If it did not count: the date_added of a run that began later and had succeeded (of a success: failed).",
    ]
    incident_id: Annotated[str | None, "The incident that it opened, belongs to or resolved."]
    message: Annotated[
        str | None,
        "What became of the message about it: sent, muted, or flapping (it waits until the environment is calm). "
        "NULL if none was due.",
    ]
    system_incident_id: Annotated[
        str | None, "If it did not count because check-ins were being lost: that system incident."
    ]
    place: Annotated[
        int | None,
        "Its place in the order in which the environment's results were decided, growing: one that waited comes after "
        "those that were decided meanwhile. NULL: decided before this was recorded.",
        Since(5),
    ] = None
    silence_id: Annotated[
        str | None,
        "If it did not count because it fell into a maintenance: that one (silences.silence_id).",
        Since(6),
    ] = None


class IncidentRow(Row, frozen=True, kw_only=True):
    """Stretches of failure: opened at the failure threshold, resolved at the recovery threshold."""

    TABLE: ClassVar = Spec("incidents", identity=("project_id", "slug", "environment", "incident_id"))

    incident_id: Annotated[str, "32 hex digits, derived from the incident's first check-in."]
    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    fingerprint: Annotated[str, "32 hex digits: what the incident's messages are grouped by."]
    starting_check_in_id: Annotated[Uuid, "The first of the failing check-ins (check_ins.check_in_id)."]
    starting_timestamp: Annotated[TimeUs, "When that one began (its date_added)."]
    resolving_check_in_id: Annotated[Uuid | None, "The check-in that resolved it; NULL while open."]
    resolving_timestamp: Annotated[TimeUs | None, "When that one began (its date_added); NULL while open."]


class StatusChangeRow(Row, frozen=True, kw_only=True):
    """Every message that was sent about an incident, a system incident, or a silence."""

    TABLE: ClassVar = Spec(
        "status_changes",
        identity=("message_id",),
        history=History("created_at", order=("project_id", "slug", "created_at")),
    )

    message_id: Annotated[str, "The message's id, derived from what it is about."]
    payload_type: Annotated[
        str,
        "occurrence: a failure of an open incident. status_change: the incident was resolved. "
        "monitor_broken, monitor_muted, monitor_unmuted: it has failed for weeks (broken_monitors). "
        "system_incident_started, system_incident_ended: about no monitor, check-ins are being lost, or that is "
        "over. incident_acknowledged, incident_unacknowledged, silence_announced, silence_ended: what people did.",
    ]
    project_id: Annotated[Id | None, "The project that the monitor belongs to; NULL if it is about none."]
    slug: Annotated[str | None, "The monitor."]
    environment: Annotated[str | None, "The environment."]
    incident_id: Annotated[str | None, "The incident (incidents.incident_id)."]
    check_in_id: Annotated[Uuid | None, "The check-in that caused the message."]
    created_at: Annotated[TimeUs, "When it was caused (event time)."]
    payload: Annotated[Json, "The message as it was sent."]


class ProcessingErrorRow(Row, frozen=True, kw_only=True):
    """Every message that was rejected, and why."""

    TABLE: ClassVar = Spec(
        "processing_errors",
        identity=("error_id",),
        history=History("received_at", order=("project_id", "slug", "received_at")),
    )

    error_id: Annotated[Uuid, "The row's id, derived from the message's position."]
    received_at: Annotated[
        TimeUs | None,
        "When the broker received the message; of a line of a file that holds no time (it is cut, or no JSON), how far "
        "the file's clock had come. NULL if no line before it had a time either.",
    ]
    error_types: Annotated[list[str], "Why, by name: CHECKIN_FINISHED, MONITOR_NOT_FOUND, ..."]
    errors: Annotated[Json, "The same with details: a list of objects with type and what belongs to it."]
    payload: Annotated[
        str,
        "The payload as it came; bytes that are not UTF-8 are replaced (the dead letters hold them as they"
        " were).",
    ]
    project_id: Annotated[Id | None, "The project, if the message named one."]
    slug: Annotated[str | None, "The monitor, if the message named one."]
    environment: Annotated[str | None, "The environment, if the message named one."]
    check_in_id: Annotated[Uuid | None, "The guid, if the message had a valid one."]
    topic: Annotated[str, "Where the message was: topic, or file."]
    partition: Annotated[int, "Where the message was: partition."]
    offset: Annotated[int, "Where the message was: offset, or line of the file."]
    sdk: Annotated[str | None, "What sent it, as far as that is known: the message's sdk.", Since(5)] = None
