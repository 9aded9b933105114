"""What people read: titles and sentences about what opened, goes on, ended. Pure, and in the words of `why`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from cronwax.notify.events import Event
from cronwax.notify.notification import Named
from state.ask.terminal import clean
from state.zones import load_zone, zone_names

NAMED_IN_TEXT = 50
"""So many members of a digest are named in its text."""
LINK_NAMES = ("project", "slug", "environment", "incident")
"""What a template for links may name."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHAT = {"missed": "was missed", "timeout": "timed out", "error": "failed"}
"""What a run that failed did, by its status."""
_BROKEN = {
    "broken": "has been failing for weeks",
    "muted": "has been failing for weeks, and is muted now",
    "unmuted": "succeeds again, and is no longer muted",
}


class Text(NamedTuple):
    """A text without its form."""

    title: str
    sentences: list[str]
    fields: list[tuple[str, str]]


def opening(event: Event, usual_ms: int | None = None) -> Text:
    """That something has opened. `usual_ms`: how long runs of it usually take, if that is known."""
    if event.kind == "system_incident":
        return Text("Monitoring is blind: check-ins are being lost", [_sentence(event.reason)], [])
    if event.kind == "stalled":
        return Text(f"Cronwax is stalled: {clean(event.name)}", [_sentence(event.reason)], [])
    if event.kind == "flapping":
        return Text(
            f"{subject(event)} is flapping",
            [f"{_sentence(event.reason)} Further messages wait until it is calm.", *_background(event)],
            _fields(event),
        )
    sentences = [_came(event)]
    if (event.failure_threshold or 1) > 1:
        sentences.append(
            f"{_sentence(event.reason)} The threshold is {event.failure_threshold}, so an incident was opened."
        )
    if event.incident_began_us is not None and event.incident_began_us not in (
        event.began_us,
        event.expected_us,
    ):
        sentences.append(f"The first failing run was that of {_time(event, event.incident_began_us)}.")
    sentences += _took(event, usual_ms)
    return Text(
        f"{subject(event)} {_WHAT.get(event.status, 'is failing')}",
        [*sentences, *_background(event)],
        _fields(event),
    )


def ending(event: Event, newest: Event | None, end: Event) -> Text:
    """That what `event` opened is over; `newest` is its newest failure, `end` says what ended it."""
    if event.kind == "system_incident":
        return Text("Monitoring sees again: check-ins come as usual", [_sentence(end.reason)], [])
    if event.kind == "stalled":
        return Text(f"Cronwax goes on: {clean(event.name)}", [_sentence(end.reason)], [])
    if end.reason:
        return Text(f"{subject(event)}: {clean(end.reason)}", [_sentence(end.reason)], _fields(event))
    began = event.incident_began_us or event.at_us
    sentences = ["Its incident is resolved."]
    if began is not None and end.at_us is not None:
        sentences = [
            f"Its incident, which began at {_time(event, began)}, was resolved at {_time(event, end.at_us)}, after "
            f"{length(end.at_us - began)}."
        ]
    if newest is not None:
        sentences.append(f"Its newest failure: {_came(newest)}")
    return Text(f"{subject(event)} recovered", sentences, _fields(event))


def reminder(event: Event, newest: Event | None, failures: int, now_us: int) -> Text:
    """That what `event` opened is still open; `failures` is how many runs have failed since."""
    since = event.incident_began_us or event.at_us
    goes_on = f" after {length(now_us - since)}" if since is not None and now_us > since else ""
    if event.kind in ("system_incident", "stalled"):
        text = opening(event)
        return Text(f"Still, {text.title[0].lower()}{text.title[1:]}{goes_on}", text.sentences, text.fields)
    sentences = [
        f"Its incident is still open{goes_on}. {_count(failures, 'failing run')} since it was opened."
    ]
    sentences.append(f"The newest failure: {_came(newest or event)}")
    return Text(
        f"{subject(event)} still fails{goes_on}", [*sentences, *_background(newest or event)], _fields(event)
    )


def note(event: Event) -> Text:
    """Something about an incident that is open: flapping, broken, muted."""
    if event.kind == "flapping":
        return opening(event)
    return Text(
        f"{subject(event)} {_BROKEN.get(event.status, 'is broken')}",
        [_sentence(event.reason)],
        _fields(event),
    )


def digest(does: str, count: int, members: Sequence[Named]) -> Text:
    """Many at once."""
    over = sum(member.is_over for member in members)
    titles: dict[str, Callable[[int], str]] = {
        "opens": lambda count: f"{_count(count, 'more incident')} opened within a minute",
        "ends": lambda count: f"{_count(count, 'more incident')} {'is' if count == 1 else 'are'} over",
        "reminds": lambda count: f"{_count(count, 'more incident')} still open",
        "notes": lambda count: f"{_count(count, 'more note')} about open incidents",
    }
    sentences = []
    if does == "opens":
        sentences.append("So many opened at once that the rest are in this one message.")
    if over:
        sentences.append(f"{over} of them {'is' if over == 1 else 'are'} over already.")
    lines = [_named(member) for member in members[:NAMED_IN_TEXT]]
    if count > len(lines):
        lines.append(f"and {count - len(lines)} more")
    return Text(titles[does](count), [*sentences, *lines], [])


def subject(event: Event | Named) -> str:
    """A monitor environment by its names, on one line."""
    return f"{clean(event.name or event.slug)} ({clean(event.environment)})"


def link_of(template: str | None, event: Event) -> str | None:
    """The template's link for what an event is about; None for what is about no monitor."""
    if template is None or event.project_id is None:
        return None
    values = (event.project_id, event.slug, event.environment, event.incident_id)
    for name, value in zip(LINK_NAMES, values, strict=True):
        template = template.replace("{" + name + "}", quote(str(value), safe=""))
    return template


def length(us: int) -> str:
    """A duration in at most two units: `4 min`, `1 h 30 min`, `3 d 2 h`."""
    seconds = round(us / 1_000_000)
    for size, unit, lower, lower_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if seconds >= size:
            rest = seconds % size // lower
            return f"{seconds // size} {unit}" + (f" {rest} {lower_unit}" if rest else "")
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def utc(us: int) -> str:
    """A time in UTC, with seconds where it has some."""
    at = _EPOCH + timedelta(microseconds=us)
    return f"{at:%Y-%m-%d %H:%M} UTC" if not at.second else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _came(event: Event) -> str:
    """What was expected, and what came."""
    known = "" if event.at_us is None else _time(event, event.at_us)
    if event.status == "missed" and event.expected_us is not None:
        return f"Expected at {_time(event, event.expected_us)}, it did not come: at {known} it was missed."
    if event.status == "timeout" and event.began_us is not None:
        return f"The run that began at {_time(event, event.began_us)} had not ended at {known}: it timed out."
    if event.status == "error" and event.began_us is not None:
        due = "" if event.expected_us is None else f", due at {_time(event, event.expected_us)},"
        return f"The run that began at {_time(event, event.began_us)}{due} was reported as failed."
    return f"{_sentence(event.reason)}{f' That was at {known}.' if known else ''}"


def _took(event: Event, usual_ms: int | None) -> list[str]:
    ran_us = event.duration_ms * 1_000 if event.duration_ms else None
    if event.status == "timeout" and event.began_us is not None and event.at_us is not None:
        ran_us = event.at_us - event.began_us
    usually = "" if usual_ms is None else f" Usually it takes {length(usual_ms * 1_000)}."
    if ran_us is not None:
        return [f"It ran for {length(ran_us)}.{usually}"]
    return [usually.strip()] if usually else []


def _background(event: Event) -> list[str]:
    last = "It has never succeeded, as far as is known."
    if event.last_ok_us is not None:
        last = f"Its newest success began at {_time(event, event.last_ok_us)}."
    if not event.schedule:
        return [last]
    schedule = event.schedule if event.schedule_type == "crontab" else f"every {event.schedule}"
    limits = (
        f" A run may begin {_count(event.margin_minutes or 1, 'minute')} late and "
        f"take {_count(event.max_runtime_minutes or 30, 'minute')}."
    )
    return [last, f"Its schedule is {clean(schedule)} ({event.schedule_type}, {event.zone}).{limits}"]


def _fields(event: Event) -> list[tuple[str, str]]:
    fields = [
        ("Monitor", clean(event.slug)),
        ("Environment", clean(event.environment)),
        ("Project", str(event.project_id)),
    ]
    if event.owner:
        fields.append(("Owner", clean(event.owner)))
    if event.incident_id:
        fields.append(("Incident", event.incident_id))
    return fields


def _named(member: Named) -> str:
    what = "is over already" if member.is_over else _WHAT.get(member.status, "")
    where = "" if member.project_id is None else f" in project {member.project_id}"
    return f"- {subject(member)}{where}{f': {what}' if what else ''}"


def _time(event: Event, us: int) -> str:
    """In UTC, and in brackets in the monitor's zone where that is another."""
    if event.zone == "UTC" or event.zone not in zone_names():
        return utc(us)
    moment = _EPOCH + timedelta(microseconds=us)
    local = moment.astimezone(load_zone(event.zone))
    form = "%H:%M" if local.date() == moment.date() else "%Y-%m-%d %H:%M"
    return f"{utc(us)} ({local:{form}} in {event.zone})"


def _sentence(text: str) -> str:
    text = clean(text)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _count(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"
