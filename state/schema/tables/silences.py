"""Silences, acknowledgements and notifications: what people are notified of, and what they say to it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import Id, Row, Spec, TimeUs


class SilenceRow(Row, frozen=True, kw_only=True):
    """Snoozes and maintenances that were announced: times in which nobody is notified. What they are about is what fits
    all of organization_id, project_id, slug, environment and owner; NULL: whatever it is."""

    TABLE: ClassVar = Spec("silences", identity=("silence_id",), since=6)

    silence_id: Annotated[str, "As the control named it, else 32 hex digits made from where the control was."]
    kind: Annotated[str, "snooze or maintenance."]
    organization_id: Annotated[Id, "The organization."]
    project_id: Annotated[Id | None, "The project; NULL: all of the organization."]
    slug: Annotated[str | None, "The monitor, or a glob of * and ?."]
    environment: Annotated[str | None, "The environment, or a glob."]
    owner: Annotated[str | None, "The monitor's owner then, or a glob."]
    misses_count: Annotated[
        bool, "False: in it misses and time-outs become unknown, and its time is neither up nor down."
    ]
    announced_at: Annotated[TimeUs, "When it was announced (event time): from then on it holds."]
    starts_at: Annotated[TimeUs, "When it begins, or from when on its rule is read."]
    window_seconds: Annotated[float, "How long each of its windows is, in seconds."]
    rrule: Annotated[
        str | None, "When it recurs, as RFC 5545 says it; NULL: it has one window (silence_windows)."
    ]
    timezone: Annotated[str, "IANA name of the time zone on whose clocks it recurs."]
    over_at: Annotated[TimeUs, "From when on it holds no more: the end of its last window, or ended_at."]
    ended_at: Annotated[TimeUs | None, "When somebody ended it early; NULL: nobody has."]
    who: Annotated[str | None, "Who announced it, as far as the control says."]
    note: Annotated[str | None, "What for."]


class SilenceWindowRow(Row, frozen=True, kw_only=True):
    """From when to when silences hold, as announced: those that recur for five years ahead. silence_periods leaves out
    what came before the announcement, and after an early end."""

    TABLE: ClassVar = Spec("silence_windows", identity=("silence_id", "starts_at"), since=6)

    silence_id: Annotated[str, "The silence (silences.silence_id)."]
    starts_at: Annotated[TimeUs, "From here."]
    ends_at: Annotated[TimeUs, "To here."]
    organization_id: Annotated[Id, "The organization."]


class AcknowledgementRow(Row, frozen=True, kw_only=True):
    """Who has acknowledged incidents, and who took that back: one row each time."""

    TABLE: ClassVar = Spec(
        "acknowledgements",
        identity=("project_id", "slug", "environment", "incident_id", "changed_at"),
        since=6,
    )

    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    incident_id: Annotated[str, "The incident (incidents.incident_id)."]
    changed_at: Annotated[TimeUs, "When (event time)."]
    is_acknowledged: Annotated[bool, "True: acknowledged: nobody is reminded. False: that was taken back."]
    who: Annotated[str, "Who did it, as the control says."]
    note: Annotated[str | None, "What they say."]


class NotificationRow(Row, frozen=True, kw_only=True):
    """What the notifier has sent, one row an attempt. It is there where notifier and flow share a data folder
    (docs/notify.md)."""

    TABLE: ClassVar = Spec("notifications", identity=("message", "attempt"), retained_by="sent_at", since=6)

    message: Annotated[str, "The notification: 32 hex digits, its idempotency key; the same in each attempt."]
    attempt: Annotated[int, "The how many-th attempt, from 1."]
    target: Annotated[str, "Who was notified: a target of the routes file."]
    route: Annotated[str, "By which route."]
    does: Annotated[str, "opens, ends, reminds, notes, or digest: one that stands for many."]
    kind: Annotated[str, "As in routes: failure, recovery, flapping, broken, system_incident, stalled."]
    project_id: Annotated[Id | None, "The project; NULL: it is about no monitor, or a digest."]
    slug: Annotated[str | None, "The monitor."]
    environment: Annotated[str | None, "The environment."]
    incident_id: Annotated[str | None, "The incident (incidents.incident_id); NULL as above."]
    owner: Annotated[str | None, "The monitor's owner, as far as the notifier knew it."]
    title: Annotated[str, "Its title."]
    planned_at: Annotated[TimeUs, "When it was planned, by the notifier's clock."]
    sent_at: Annotated[TimeUs, "When the target was asked, by the notifier's clock."]
    answered_at: Annotated[TimeUs | None, "When it answered; NULL: it has not, or the notifier ended before."]
    outcome: Annotated[
        str | None,
        "sent: taken. failed: tried again. refused, expired: given up. unknown: the notifier ended before an answer "
        "was recorded. NULL: there is no answer yet.",
    ]
    detail: Annotated[str | None, "What the target said, or why it failed; no secrets."]
