"""Every kind of message that the flow sends: when, under which key, and what its fields mean.

The reference page is made from this; a test compares the fields with the messages that the code makes.
"""

from __future__ import annotations

from dataclasses import dataclass

_ID = "32 hex digits; derived from what the message is about, so a replay gives the same one"
_FINGERPRINT = "a list of one: the incident's fingerprint"
_DETECTED = "epoch seconds of event time at which this was decided"
_TEXT = "the same for people, in one line"

BY_INCIDENT = "the incident's fingerprint"
BY_FLOW = "`cronwax`"


@dataclass(frozen=True)
class Payload:
    """One `payload_type`."""

    sent_when: str
    key: str
    """The key of the Kafka message: messages of one key keep their order."""
    fields: dict[str, str]
    """Top-level fields and their meaning, in the order in which they are sent."""
    has_row: bool = True
    """It is part of what a replay gives again, and has a row in `status_changes`."""


_BROKEN = {
    "payload_type": "",
    "id": _ID,
    "fingerprint": _FINGERPRINT,
    "project_id": "the monitor's project",
    "monitor": "`id` (UUID), `slug` and `name` of the monitor",
    "environment": "name of the environment",
    "incident_id": "the incident that has been open for this long",
    "since": "epoch seconds: when that incident began",
    "detection_time": _DETECTED,
    "text": _TEXT,
}
_SYSTEM_INCIDENT = {
    "payload_type": "",
    "id": _ID,
    "system_incident_id": "the same in both messages; the table `system_incidents` has it",
    "since": "epoch seconds: the first minute that lacks check-ins",
    "until": "epoch seconds: the first minute with the usual number again; null in `system_incident_started`",
    "detection_time": _DETECTED,
    "volume": "check-ins in the minute that decided it",
    "expected": "the usual number of check-ins in that minute",
    "text": _TEXT,
}
_STALL = {
    "payload_type": "",
    "id": "32 hex digits; derived from payload type, subject and `since`: a repeated message has the same one",
    "subject": "what is stalled: `event clock`, `TOPIC/PARTITION`, or a sink (`tables`, `occurrences`, `dead_letters`)",
    "since": "epoch seconds: where the clock stood, or since when a sink owed its output",
    "limit_seconds": "the setting `CRONWAX_STALL_SECONDS`",
    "detection_time": "epoch seconds of the wall clock",
    "text": _TEXT,
}
_SILENCE = {
    "payload_type": "",
    "id": _ID,
    "silence_id": "as in the table `silences`",
    "kind": "`snooze` or `maintenance`",
    "organization_id": "what it is about: all that fits this and what follows; null: whatever it is",
    "project_id": "the project",
    "slug": "the monitor, or a glob",
    "environment": "the environment, or a glob",
    "owner": "the owner, or a glob",
    "misses_count": "false: misses and time-outs in it become `unknown`",
    "start": "epoch seconds: when its window begins, or from when on the rule is read",
    "duration_seconds": "how long each window is",
    "rrule": "when it recurs, as RFC 5545 says it; null: it has one window",
    "timezone": "the time zone on whose clocks it recurs",
    "announced": "epoch seconds: from when on it holds",
    "ended": "epoch seconds: when somebody ended it; null in `silence_announced`",
    "who": "who announced it; null: not said",
    "note": "what for; null: not said",
    "detection_time": _DETECTED,
    "text": _TEXT,
}
_ACKNOWLEDGEMENT = {
    "payload_type": "",
    "id": _ID,
    "fingerprint": _FINGERPRINT,
    "project_id": "the monitor's project",
    "monitor": "`id` (UUID), `slug` and `name` of the monitor",
    "environment": "name of the environment",
    "incident_id": "the incident",
    "who": "who did it",
    "note": "what they say; null: nothing",
    "detection_time": _DETECTED,
    "text": _TEXT,
}

PAYLOADS: dict[str, Payload] = {
    "occurrence": Payload(
        "a failure opens an incident; each later failure of an open incident; an environment begins to flap",
        BY_INCIDENT,
        {
            "id": _ID,
            "project_id": "the monitor's project",
            "event_id": "32 hex digits: Sentry's event",
            "fingerprint": _FINGERPRINT,
            "issue_title": "`Monitor failure: NAME` or `Monitor flapping: NAME`",
            "subtitle": "a second line for the title",
            "resource_id": "always null",
            "evidence_data": "the check-in that it is about: `check_in_id`, `status`, `began` and `expected` (epoch "
            "seconds; null: none, or not known), `duration_ms`; and `incident_began`, when the incident's first "
            "failing run began",
            "evidence_display": "a list of `name`, `value`, `important`: the failure reason or status changes, the "
            "environment, the last successful check-in",
            "type": "4001: Sentry's number of the occurrence type",
            "detection_time": _DETECTED,
            "level": "always `error`",
            "culprit": "always empty",
            "initial_issue_priority": "always null",
            "assignee": "always null",
            "payload_type": "",
            "event": "Sentry's event: contexts (monitor with its config and status, trace), environment, tags, times",
        },
    ),
    "status_change": Payload(
        "an incident is resolved",
        BY_INCIDENT,
        {
            "payload_type": "",
            "id": _ID,
            "fingerprint": _FINGERPRINT,
            "project_id": "the monitor's project",
            "new_status": "1: resolved (Sentry's number)",
            "new_substatus": "always null",
            "detection_time": _DETECTED,
        },
    ),
    "monitor_broken": Payload("an incident has been open for 14 days", BY_INCIDENT, _BROKEN),
    "monitor_muted": Payload(
        "nothing has changed 14 days later: the environment is muted", BY_INCIDENT, _BROKEN
    ),
    "monitor_unmuted": Payload("a success ends that mute", BY_INCIDENT, _BROKEN),
    "incident_acknowledged": Payload("somebody acknowledges an open incident", BY_INCIDENT, _ACKNOWLEDGEMENT),
    "incident_unacknowledged": Payload("that is taken back", BY_INCIDENT, _ACKNOWLEDGEMENT),
    "silence_announced": Payload("a snooze or a maintenance is announced", BY_FLOW, _SILENCE),
    "silence_ended": Payload("one is ended early", BY_FLOW, _SILENCE),
    "system_incident_started": Payload("check-ins are being lost", BY_FLOW, _SYSTEM_INCIDENT),
    "system_incident_ended": Payload("check-ins come as usual again", BY_FLOW, _SYSTEM_INCIDENT),
    **{
        f"{kind}_{suffix}": Payload(when.format(name), BY_FLOW, _STALL, has_row=False)
        for kind, name in (("clock", "the event clock"), ("partition", "a partition"), ("sink", "a sink"))
        for suffix, when in (
            ("stalled", "{} is more than `CRONWAX_STALL_SECONDS` late"),
            ("recovered", "{} has caught up"),
        )
    },
}
"""By `payload_type`. A new kind of message is one entry here."""
