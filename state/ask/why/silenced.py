"""What people have said about an environment: silences and acknowledgements, and how an answer says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from state.ask.why.wording import Clock

_SILENCE = """
    SELECT s.silence_id, s.kind, greatest(w.starts_at, s.announced_at) AS began_at,
        CASE WHEN s.ended_at <= $at THEN least(w.ends_at, s.ended_at) ELSE w.ends_at END AS until, s.misses_count,
        s.who, s.note
    FROM silences AS s
    JOIN silence_windows AS w ON w.silence_id = s.silence_id
    JOIN monitors AS m ON m.organization_id = s.organization_id AND m.project_id = $project AND m.slug = $slug
    WHERE (s.project_id IS NULL OR s.project_id = m.project_id) AND (s.slug IS NULL OR m.slug GLOB s.slug)
        AND (s.environment IS NULL OR $environment::VARCHAR GLOB s.environment)
        AND (s.owner IS NULL OR coalesce(m.owner, '') GLOB s.owner)
        AND greatest(w.starts_at, s.announced_at) <= $newest AND greatest(w.starts_at, s.announced_at) < until
        AND until > $since
    ORDER BY until DESC, s.silence_id LIMIT 1"""
_ACKNOWLEDGED = """
    SELECT changed_at, is_acknowledged, who, note FROM acknowledgements
    WHERE project_id = $project AND slug = $slug AND environment = $environment AND incident_id = $incident
        AND changed_at <= $at
    ORDER BY changed_at DESC LIMIT 1"""


@dataclass(frozen=True)
class Silenced:
    """A window of a silence."""

    silence_id: str
    kind: str
    began: datetime
    until: datetime
    misses_count: bool
    who: str | None
    note: str | None


@dataclass(frozen=True)
class Acknowledged:
    """What somebody said last about the open incident."""

    at: datetime
    is_acknowledged: bool
    who: str
    note: str | None


def silence_of(
    connection: duckdb.DuckDBPyConnection,
    keys: tuple[int, str, str],
    at: datetime,
    since: datetime | None,
    is_now: bool,
) -> Silenced | None:
    """The silence in which it is at a time; else the last one since `since`, when the open incident began.

    The event clock is a whole minute: what was announced in it counts as of now (`is_now`).
    """
    project, slug, environment = keys
    newest = at + timedelta(minutes=1) if is_now else at
    given = {"project": project, "slug": slug, "environment": environment, "at": at, "newest": newest}
    given["since"] = since or at
    row = connection.execute(_SILENCE, given).fetchone()
    return Silenced(*row) if row is not None else None


def acknowledgement_of(
    connection: duckdb.DuckDBPyConnection, keys: tuple[int, str, str], incident_id: str, at: datetime
) -> Acknowledged | None:
    """What was said last about an incident by a time."""
    project, slug, environment = keys
    given = {"project": project, "slug": slug, "environment": environment, "incident": incident_id, "at": at}
    row = connection.execute(_ACKNOWLEDGED, given).fetchone()
    return Acknowledged(*row) if row is not None else None


def said(
    silence: Silenced | None, acknowledged: Acknowledged | None, at: datetime, clock: Clock
) -> Iterator[tuple[str, str]]:
    """What there is to say of both: what each sentence is about, and the sentence."""
    if silence is not None:
        yield "silence", _silence(silence, at, clock)
    if acknowledged is not None:
        did = "acknowledged" if acknowledged.is_acknowledged else "no longer acknowledged"
        yield (
            "silence",
            f"The incident is {did}, at {clock.full(acknowledged.at)} by {acknowledged.who}"
            f"{_noted(acknowledged.note)}.",
        )


def _silence(silence: Silenced, at: datetime, clock: Clock) -> str:
    name = f"{silence.kind} {silence.silence_id}"
    by = f", announced by {silence.who}" if silence.who else ""
    is_now = silence.until > at
    lasts = f"from {clock.full(silence.began)} until {clock.full(silence.until)}"
    counts = ""
    if not silence.misses_count:
        counts = "; misses and time-outs " + ("do not count" if is_now else "did not count")
    tense = "is" if is_now else "was"
    return (
        f"It {tense} silenced {lasts} by {name}{by}{_noted(silence.note)}: failures are recorded, and nobody "
        f"{tense} notified{counts}."
    )


def _noted(note: str | None) -> str:
    return f" ({note})" if note else ""
