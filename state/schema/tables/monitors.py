"""Monitors, their environments, and what became of them over time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import Id, Json, Row, Since, Spec, TimeUs, Uuid


class MonitorRow(Row, frozen=True, kw_only=True):
    """Watched jobs: one row per project and slug, as configured last."""

    TABLE: ClassVar = Spec("monitors", identity=("project_id", "slug"))

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    organization_id: Annotated[Id, "The organization of the project."]
    slug: Annotated[str, "The monitor's name within its project, as jobs send it (slugified)."]
    monitor_id: Annotated[Uuid, "The monitor's id, derived from project and slug."]
    name: Annotated[str, "The monitor's name for people."]
    status: Annotated[
        str,
        "active, or disabled: its check-ins are rejected, and no misses or time-outs are detected.",
    ]
    is_muted: Annotated[bool, "True: failures still open incidents, but no occurrence is sent."]
    owner: Annotated[str | None, "user:... or team:..., NULL if nobody owns it."]
    schedule_type: Annotated[str, "crontab or interval."]
    schedule: Annotated[str, "When the job is due: '*/5 * * * *' for a crontab, '10 minute' for an interval."]
    timezone: Annotated[str, "IANA name of the time zone that the schedule is read in."]
    checkin_margin: Annotated[
        int | None,
        "How many minutes late a check-in may be before it counts as missed.",
    ]
    max_runtime: Annotated[int | None, "After how many minutes in progress a check-in counts as timed out."]
    failure_issue_threshold: Annotated[int | None, "How many consecutive failing check-ins open an incident."]
    recovery_threshold: Annotated[int | None, "How many consecutive ok check-ins resolve it."]
    created_at: Annotated[TimeUs, "When the monitor was created (event time)."]
    updated_at: Annotated[TimeUs, "When monitor or config changed last (event time)."]


class MonitorStatusRow(Row, frozen=True, kw_only=True):
    """Since when monitors were disabled, and since when no more: one row a change. One that has always
    been active has none."""

    TABLE: ClassVar = Spec("monitor_status_history", identity=("project_id", "slug", "changed_at"), since=3)

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    changed_at: Annotated[TimeUs, "When its status became this (event time)."]
    status: Annotated[str, "As in monitors.status: active or disabled."]


class EnvironmentRow(Row, frozen=True, kw_only=True):
    """The running state of each monitor in each environment."""

    TABLE: ClassVar = Spec("monitor_environments", identity=("project_id", "slug", "environment"))

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment; production unless the job named another."]
    status: Annotated[str, "active: nothing finished yet. ok. error: an incident is open."]
    is_muted: Annotated[bool, "True: failures still open incidents, but no occurrence is sent."]
    last_checkin: Annotated[TimeUs | None, "When the latest run that counts began; misses do not move it."]
    next_checkin: Annotated[TimeUs | None, "When the job is due next."]
    next_checkin_latest: Annotated[
        TimeUs | None,
        "From this minute on it counts as missed: next_checkin and the margin.",
    ]
    open_incident_id: Annotated[
        str | None,
        "The incident that is open now (incidents.incident_id); NULL if none is.",
    ]
    updated_at: Annotated[TimeUs, "When this state changed last (event time)."]
    is_flapping: Annotated[
        bool,
        "True: it has changed between ok and error too often of late (CRONWAX_FLAPPING_CHANGES); messages"
        " wait until it is calm.",
        Since(3, fill="false"),
    ]
    sdk: Annotated[
        str | None, "What sent its newest check-in that says so: SDK or client, and version.", Since(5)
    ] = None


class ConfigRow(Row, frozen=True, kw_only=True):
    """What was asked of monitors, and whose they were, before that was changed: one row a change of config, name or
    owner. What holds now is in monitors; config_periods has both."""

    TABLE: ClassVar = Spec("monitor_config_history", identity=("project_id", "slug", "replaced_at"), since=3)

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    replaced_at: Annotated[TimeUs, "Until when this config held (event time)."]
    schedule_type: Annotated[str, "As in monitors, like all that follows."]
    schedule: Annotated[str, "When the job was due."]
    timezone: Annotated[str, "IANA name of the time zone that the schedule was read in."]
    checkin_margin: Annotated[
        int | None,
        "How many minutes late a check-in might be before it counted as missed; NULL: the default, 1.",
    ]
    max_runtime: Annotated[
        int | None,
        "After how many minutes in progress a check-in counted as timed out; NULL: the default, 30.",
    ]
    failure_issue_threshold: Annotated[
        int | None,
        "How many consecutive failing check-ins opened an incident; NULL: the default, 1.",
    ]
    recovery_threshold: Annotated[
        int | None,
        "How many consecutive ok check-ins resolved it; NULL: the default, 1.",
    ]
    replaced_by: Annotated[
        str | None,
        "What changed it: check_in (its monitor_config) or control. NULL: changed before this was recorded.",
        Since(5),
    ] = None
    replaced_by_environment: Annotated[
        str | None, "Of a change by a check-in: the environment that it named.", Since(5)
    ] = None
    replaced_by_check_in_id: Annotated[
        Uuid | None, "Of a change by a check-in: its guid (check_ins.check_in_id).", Since(5)
    ] = None
    name: Annotated[
        str | None,
        "The monitor's name for people until then. NULL: changed before this was recorded.",
        Since(5),
    ] = None
    owner: Annotated[
        str | None,
        "user:... or team:... until then; NULL if nobody owned it, or without a name.",
        Since(5),
    ] = None


class ControlRow(Row, frozen=True, kw_only=True):
    """Controls that took effect: what people, and programs for them, asked for. It outlives what it is about: a deleted
    monitor leaves this row. Those that were refused are in processing_errors."""

    TABLE: ClassVar = Spec("controls", identity=("topic", "partition", "offset"), since=5)

    topic: Annotated[str, "Where the control was: topic, or file."]
    partition: Annotated[int, "Where the control was: partition."]
    offset: Annotated[int, "Where the control was: offset, or line of the file."]
    received_at: Annotated[TimeUs, "When it was received (the broker's timestamp): from then on it holds."]
    type: Annotated[
        str,
        "upsert_monitor, set_monitor_status, mute, delete_monitor, reset, set_killswitch, set_seats, "
        "upsert_sampling_rule, snooze, maintenance, end_silence or acknowledge_incident.",
    ]
    organization_id: Annotated[Id, "The organization that it is about."]
    project_id: Annotated[Id | None, "The project; NULL if it is about the organization."]
    slug: Annotated[str | None, "The monitor; NULL if it is about the organization."]
    environment: Annotated[str | None, "The environment; NULL if it is about all of the monitor's."]
    payload: Annotated[Json, "The control as it came."]


class MuteRow(Row, frozen=True, kw_only=True):
    """Since when monitors and environments were muted, and since when no more: one row a change."""

    TABLE: ClassVar = Spec(
        "mute_history", identity=("project_id", "slug", "environment", "changed_at"), since=3
    )

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment; empty: the monitor in all of them."]
    changed_at: Annotated[TimeUs, "When that changed (event time)."]
    is_muted: Annotated[bool, "True: muted from then on."]
    is_by_person: Annotated[
        bool,
        "True: by a control. False: because the monitor was broken, or is no longer (broken_monitors).",
    ]


class BrokenMonitorRow(Row, frozen=True, kw_only=True):
    """Monitor environments whose incident was open for 14 days with at least the newest 4 check-ins
    failing. One row each time."""

    TABLE: ClassVar = Spec(
        "broken_monitors",
        identity=("project_id", "slug", "environment", "incident_id", "detected_at"),
        since=3,
    )

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    incident_id: Annotated[str, "The incident that was open (incidents.incident_id)."]
    detected_at: Annotated[TimeUs, "When that was noticed (event time)."]
    muted_at: Annotated[
        TimeUs | None,
        "When the environment was muted for it, 14 days later; NULL if it was not. A person may have "
        "unmuted it since.",
    ]
    recovered_at: Annotated[
        TimeUs | None,
        "When a check-in succeeded, which ends this and what was muted by it; NULL while it is broken.",
    ]
