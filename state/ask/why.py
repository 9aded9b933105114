"""`./run.sh sql why SLUG`: in sentences, why a monitor environment is in its state; from the tables alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb

from state.ask.why_facts import Facts, IncidentFacts, Run, environments_of, facts_of, rejections_of
from state.errors import StateError
from state.zones import load_zone, zone_names

COLUMNS = ["project_id", "slug", "environment", "at", "about", "sentence"]
"""Of an answer as rows."""
_MOST_FAILURES = 5
"""So many failing check-ins are told one by one."""
_PENDING = ("abnormal", "recovering")


class Sentence(NamedTuple):
    """One row of an answer."""

    project_id: int
    slug: str
    environment: str
    at: datetime
    about: str
    """What it is about: state, schedule, failure, threshold, expected, volume, message."""
    sentence: str


def why(
    connection: duckdb.DuckDBPyConnection,
    slug: str,
    project_id: int | None,
    environment: str | None,
    at: datetime | None,
) -> list[Sentence]:
    """The answer for each environment that fits. Raises StateError with what is known, if none does."""
    found = environments_of(connection, slug, project_id, environment)
    if not found:
        raise StateError(_unheard_of(connection, slug, project_id, environment))
    answer = []
    for project, name in found:
        facts = facts_of(connection, project, slug, name, at)
        answer += [Sentence(project, slug, name, facts.at, *each) for each in _Sentences(facts).all()]
    return answer


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
        text += f"; {count} that named it {verb} rejected, the newest at {_utc(newest)}: {reasons}"
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


class _Sentences:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._has_zone = facts.config.timezone in zone_names()
        self._zone = load_zone(facts.config.timezone if self._has_zone else "UTC")

    def all(self) -> Iterator[tuple[str, str]]:
        """What each sentence is about, and the sentence."""
        facts, incident = self._facts, self._facts.incident
        is_open = incident is not None and incident.resolved is None
        yield "state", f"{facts.project_id}/{facts.slug}, {facts.environment}, {self._state(is_open)}"
        if not self._has_zone:
            yield (
                "state",
                f"Its time zone, {facts.config.timezone}, is unknown to this release. Local times are in UTC here, and "
                "no check-in is expected until it is configured again.",
            )
        if facts.first_seen is None and facts.config.since > facts.at:
            yield (
                "state",
                f"Nothing of it was known by then: it is known since {self._time(facts.config.since)}.",
            )
            return
        yield "schedule", self._schedule()
        if facts.first_seen is None:
            yield "state", "No check-in of it was known by then."
            return
        if is_open:
            assert incident is not None
            yield from self._failing(incident)
        else:
            yield from self._well()
        yield from self._waiting()
        yield from self._quiet()

    def _state(self, is_open: bool) -> str:
        facts = self._facts
        at = f"at {self._time(facts.at, names_zone=True)}"
        if facts.disabled_since is not None:
            return f"{at}: disabled. It was switched off at {self._time(facts.disabled_since)}: nothing is expected."
        if is_open:
            assert facts.incident is not None
            return f"{at}: error, since {self._time(facts.incident.starting)}."
        if facts.newest is None:
            return f"{at}: active. Nothing of it has finished."
        return f"{at}: ok."

    def _schedule(self) -> str:
        config, tense = self._facts.config, "is" if self._facts.config.until is None else "was"
        schedule = config.schedule if config.schedule_type == "crontab" else f"every {config.schedule}"
        until = "" if config.until is None else f" until {self._time(config.until)}"
        return (
            f"Its schedule {tense} {schedule} ({config.schedule_type}, {config.timezone}), as set at "
            f"{self._time(config.since)}{until}. A run may begin {_count(config.checkin_margin, 'minute')} late and "
            f"take {_count(config.max_runtime, 'minute')}; an incident opens with "
            f"{_count(config.failure_threshold, 'failure')} in a row and is resolved by "
            f"{_count(config.recovery_threshold, 'success', 'successes')} in a row."
        )

    def _failing(self, incident: IncidentFacts) -> Iterator[tuple[str, str]]:
        facts = self._facts
        threshold = facts.config.failure_threshold
        opening, later = facts.failures[:threshold], facts.failures[threshold:]
        for run in opening[:_MOST_FAILURES]:
            yield "failure", self._failure(run)
        if len(opening) > _MOST_FAILURES:
            yield "failure", f"And {len(opening) - _MOST_FAILURES} more like that."
        yield (
            "threshold",
            f"{_count(len(opening), 'failure')} in a row: the threshold is {threshold}, so incident "
            f"{incident.incident_id} was opened at {self._time(incident.opened)}.",
        )
        if later:
            count = _count(len(later), "more check-in")
            yield "failure", f"{count} failed since. The newest: {self._failure(later[-1])}"
        if facts.successes:
            yield (
                "threshold",
                f"{_count(facts.successes, 'success', 'successes')} in a row since: "
                f"{facts.config.recovery_threshold} are needed.",
            )

    def _failure(self, run: Run) -> str:
        if run.status == "error":
            return f"The run that began at {self._time(run.began)} was reported as failed."
        if run.status == "missed":
            found = (
                f"Expected at {self._time(run.began)}, it did not come: the tick of {self._time(run.known)} found it "
                "missed."
            )
        else:
            found = (
                f"The run that began at {self._time(run.began)} had not ended at {self._time(run.known)}: that tick "
                "found it timed out."
            )
        if run.tick_decision in _PENDING:
            return f"{found} It waits: too few check-ins came from everybody, and it is not decided why."
        if run.tick_decided is not None and run.tick_decided > run.known:
            return (
                f"{found} It counted only from {self._time(run.tick_decided)} on, when it was decided that check-ins "
                "were not being lost."
            )
        return found

    def _well(self) -> Iterator[tuple[str, str]]:
        facts = self._facts
        if (incident := facts.incident) is not None and incident.resolved is not None:
            yield (
                "threshold",
                f"Its newest incident, {incident.incident_id}, began at {self._time(incident.starting)} and was "
                f"resolved at {self._time(incident.resolved)}.",
            )
        newest = facts.newest
        if newest is None:
            return
        if newest.status == "ok":
            due = f", due at {self._time(newest.expected)}" if newest.expected is not None else ""
            yield "state", f"Its newest run that ended began at {self._time(newest.began)}{due}, and was ok."
            return
        yield "failure", self._failure(newest)
        yield (
            "threshold",
            f"{_count(facts.failing, 'failure')} in a row: not yet the threshold, {facts.config.failure_threshold}.",
        )

    def _waiting(self) -> Iterator[tuple[str, str]]:
        """What is in progress, what is expected, and what nobody knows."""
        facts = self._facts
        for run in facts.running[-_MOST_FAILURES:]:
            limit = f"; it times out at {self._time(run.timeout_at)}" if run.timeout_at is not None else ""
            yield "expected", f"In progress: a run that began at {self._time(run.began)}{limit}."
        if facts.unknown:
            yield (
                "volume",
                f"{_count(len(facts.unknown), 'check-in')} since then {'is' if len(facts.unknown) == 1 else 'are'} "
                f"unknown, the newest of {self._time(facts.unknown[-1].began)}: check-ins were being lost, or the "
                "monitor was disabled, so nobody can tell.",
            )
        if (lost := facts.system_incident) is not None:
            until = "" if lost.end is None else f", until {self._time(lost.end)}"
            yield (
                "volume",
                f"Check-ins were being lost from {self._time(lost.start)} on{until}: {lost.volume} came in a minute "
                f"that has {lost.usual:g} on other days. Misses and time-outs did not count.",
            )
        if facts.expected is not None and facts.disabled_since is None:
            latest = facts.expected.timestamp() + 60 * facts.config.checkin_margin
            tense, missed = ("is", "is") if facts.is_now else ("was", "would be")
            yield (
                "expected",
                f"Next it {tense} expected at {self._time(facts.expected)}, and {missed} missed from "
                f"{self._time(datetime.fromtimestamp(latest, UTC))} on.",
            )

    def _quiet(self) -> Iterator[tuple[str, str]]:
        """What was told, and what kept it from being told."""
        facts = self._facts
        if facts.told is None:
            yield "message", "Nothing has been sent about it."
        elif facts.told.is_flapping:
            yield (
                "message",
                f"It was told at {self._time(facts.told.at)} that it goes back and forth between ok and error; "
                "further messages wait until it is calm.",
            )
        else:
            yield (
                "message",
                f"The newest message about it: {facts.told.payload_type}, {self._time(facts.told.at)}.",
            )
        if facts.broken is not None:
            muted = f", and muted at {self._time(facts.broken.muted)}" if facts.broken.muted else ""
            yield (
                "message",
                f"It counts as broken: nobody has mended it. That was noticed at "
                f"{self._time(facts.broken.detected)}{muted}.",
            )
        if (mute := facts.mute) is not None:
            what = "The monitor is" if mute.is_whole_monitor else "It is"
            who = "by a control" if mute.is_by_person else "because it was broken"
            since = f" since {self._time(mute.since)}" if mute.since is not None else ""
            yield "message", f"{what} muted{since}, {who}: failures are recorded, not told."

    def _time(self, moment: datetime, names_zone: bool = False) -> str:
        """In UTC, and in brackets in the monitor's zone where that is another."""
        text = _utc(moment)
        if self._facts.config.timezone == "UTC":
            return text
        local = moment.astimezone(self._zone)
        shown = (
            f"{local:%H:%M}" if local.date() == moment.astimezone(UTC).date() else f"{local:%Y-%m-%d %H:%M}"
        )
        return f"{text} ({shown} in {self._facts.config.timezone})" if names_zone else f"{text} ({shown})"


def _utc(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC" if not at.second else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
