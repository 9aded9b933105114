"""`cronwax why SLUG`: in sentences, why a monitor environment is in its state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import duckdb

from state.ask.why import sentences, silenced
from state.ask.why.due import Schedules
from state.ask.why.facts import Deletion, Facts
from state.ask.why.queries import deletions_of, environments_of, rejections_of
from state.ask.why.reading import facts_of, zone_of
from state.ask.why.wording import Clock, in_utc
from state.errors import StateError
from state.zones import zone_names

COLUMNS = ["project_id", "slug", "environment", "at", "about", "sentence"]
"""Of an answer as rows."""


class Sentence(NamedTuple):
    """One row of an answer."""

    project_id: int
    slug: str
    environment: str
    at: datetime
    about: str
    """What it is about: state, schedule, change, failure, threshold, pattern, expected, rejected, volume, message,
    silence or deleted."""
    sentence: str


def why(
    connection: duckdb.DuckDBPyConnection,
    slug: str,
    project_id: int | None,
    environment: str | None,
    at: datetime | None,
    schedules: Schedules | None = None,
) -> list[Sentence]:
    """The answer for each environment that fits; `at` None: as of all that the snapshot holds.

    `schedules` computes next times where what was recorded does not say them. What was deleted says so. Raises
    StateError with what is known, if nothing fits.
    """
    found = environments_of(connection, slug, project_id, environment)
    answer = []
    for project, name in found:
        facts = facts_of(connection, project, slug, name, at, schedules)
        answer += [Sentence(project, slug, name, facts.at, *each) for each in said(facts)]
    answer += _gone(connection, slug, project_id, environment, set(found), at)
    if not answer:
        raise StateError(_unheard_of(connection, slug, project_id, environment))
    return answer


def said(facts: Facts) -> Iterator[tuple[str, str]]:
    """All that there is to say about one environment: what each sentence is about, and the sentence."""
    config = facts.config
    has_zone = config.timezone in zone_names()
    clock = Clock(config.timezone, zone_of(config))
    names = f"{facts.project_id}/{facts.slug}, {facts.environment}"
    yield "state", f"{names}, {sentences.headline(facts, clock)}"
    if not has_zone:
        yield (
            "state",
            f"Its time zone, {config.timezone}, is unknown to this release. Local times are in UTC here, and "
            "no check-in is expected until it is configured again.",
        )
    if facts.deleted_before is not None:
        what = "" if facts.deleted_before.environment is None else "environment "
        yield (
            "deleted",
            f"An earlier {what or 'monitor '}of this name was {sentences.deletion(facts.deleted_before, clock)}.",
        )
    if not facts.is_seen and facts.created > facts.at:
        yield "state", f"Nothing of it was known by then: it is known since {clock.full(facts.created)}."
        return
    yield "schedule", sentences.schedule(facts, clock)
    if facts.change is not None:
        yield "change", sentences.config_change(facts.change, config, clock)
    if facts.is_seen:
        yield from _about_runs(facts, clock)
    else:
        yield "state", "No check-in of it was known by then."
    if facts.refusals is not None:
        yield "rejected", sentences.refusals(facts.refusals, facts, clock)
    if facts.is_seen:
        yield from sentences.coming(facts, clock)
        yield from sentences.messages(facts, clock)
    yield from silenced.said(facts.silence, facts.acknowledged, facts.at, clock)


def _about_runs(facts: Facts, clock: Clock) -> Iterator[tuple[str, str]]:
    incident = facts.incident
    if incident is not None and incident.is_open:
        yield from sentences.state_of_failure(facts, incident, clock)
    else:
        yield from sentences.state_of_success(facts, clock)
    if facts.shift is not None:
        yield "pattern", sentences.shift(facts.shift, clock)


def _gone(
    connection: duckdb.DuckDBPyConnection,
    slug: str,
    project_id: int | None,
    environment: str | None,
    found: set[tuple[int, str]],
    at: datetime | None,
) -> list[Sentence]:
    """What has been deleted and is not there again."""
    projects = {project for project, _ in environments_of(connection, slug, project_id, None)}
    gone = []
    for each in deletions_of(connection, slug, project_id, environment):
        if each.environment is None:
            is_there = each.project_id in projects
        else:
            is_there = (each.project_id, each.environment) in found
        if not is_there:
            gone.append(each)
    whole = {each.project_id: each.at for each in gone if each.environment is None}
    gone = [
        each
        for each in gone
        if each.environment is None
        or each.at > whole.get(each.project_id, each.at.min.replace(tzinfo=each.at.tzinfo))
    ]
    return [_of_deleted(each, at) for each in gone]


def _of_deleted(gone: Deletion, at: datetime | None) -> Sentence:
    names = f"{gone.project_id}/{gone.slug}" + ("" if gone.environment is None else f", {gone.environment}")
    text = f"{names}: {sentences.deletion(gone)}. What was known of it before went with it."
    if at is not None and at < gone.at:
        text += f" So nothing can be said of {in_utc(at)}."
    return Sentence(gone.project_id, gone.slug, gone.environment or "", gone.at, "deleted", text)


def _unheard_of(
    connection: duckdb.DuckDBPyConnection, slug: str, project_id: int | None, environment: str | None
) -> str:
    project = "" if project_id is None else f" in project {project_id}"
    if environment is not None and environments_of(connection, slug, project_id, None):
        return f"{slug}{project} has no environment {environment}"
    text = f"no check-in of a monitor {slug}{project} has ever been accepted"
    count, newest, reasons = rejections_of(connection, slug, project_id)
    if count:
        assert newest is not None
        verb = "was" if count == 1 else "were"
        text += f"; {count} that named it {verb} rejected, the newest at {in_utc(newest)}: {reasons}"
    return text


def as_text(answer: list[Sentence]) -> Iterator[str]:
    """The lines for a person: a paragraph for each environment."""
    last: tuple[int, str] | None = None
    for each in answer:
        if (each.project_id, each.environment) != last:
            if last is not None:
                yield ""
            last = each.project_id, each.environment
            yield each.sentence
        else:
            yield f"  {each.sentence}"
