"""The sentences of an answer: pure functions of facts, so that whatever notifies people can say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from state.ask.why.facts import (
    ERROR,
    MISSED,
    OK,
    TIMEOUT,
    Config,
    ConfigChange,
    Deletion,
    Facts,
    Incident,
    Neighbours,
    Recurrence,
    Refusals,
    Run,
    Shift,
)
from state.ask.why.wording import REASONS, Clock, count, in_utc, ordinal, span

MOST_ALIKE = 5
"""Runs or monitors of a kind that are named one by one."""

Said = Iterator[tuple[str, str]]
"""What a sentence is about, and the sentence."""


def headline(facts: Facts, clock: Clock) -> str:
    """How it stands: `at 2025-03-03 01:40 UTC: ok.`"""
    at = f"at {clock.full(facts.at, names_zone=True)}"
    if facts.disabled_since is not None:
        since = clock.full(facts.disabled_since)
        return f"{at}: disabled. It was switched off at {since}: nothing is expected."
    if facts.incident is not None and facts.incident.is_open:
        return f"{at}: error, since {clock.full(facts.incident.starting)}."
    if facts.state == "active":
        has_ended = facts.newest is not None
        return f"{at}: active. Nothing of it has {'succeeded yet' if has_ended else 'finished'}."
    return f"{at}: {facts.state}."


def schedule(facts: Facts, clock: Clock) -> str:
    """What was asked of the job then."""
    config, tense = facts.config, "is" if facts.config_until is None else "was"
    until = "" if facts.config_until is None else f" until {clock.full(facts.config_until)}"
    return (
        f"Its schedule {tense} {_asked(config)} ({config.schedule_type}, {config.timezone}), as set at "
        f"{clock.full(facts.config_since)}{until}. A run may begin {count(config.checkin_margin, 'minute')} late and "
        f"take {count(config.max_runtime, 'minute')}; an incident opens with "
        f"{count(config.failure_threshold, 'failure')} in a row and is resolved by "
        f"{count(config.recovery_threshold, 'success', 'successes')} in a row."
    )


def _asked(config: Config) -> str:
    return config.schedule if config.schedule_type == "crontab" else f"every {config.schedule}"


def config_change(change: ConfigChange, after: Config, clock: Clock) -> str:
    """What was changed, from what to what, and by whom."""
    before = change.before
    parts = []
    if (before.schedule_type, before.schedule) != (after.schedule_type, after.schedule):
        parts.append(f"schedule from {_asked(before)} to {_asked(after)}")
    for name in ("timezone", "checkin_margin", "max_runtime", "failure_threshold", "recovery_threshold"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            shown = "failure_issue_threshold" if name == "failure_threshold" else name
            parts.append(f"{shown} from {old} to {new}")
    by = "" if change.by is None else " by a control"
    if change.by == "check_in":
        by = f" by a check-in of environment {change.environment}"
    return f"That was changed at {clock.full(change.at)}{by}: {'; '.join(parts)}."


def failure(run: Run, clock: Clock) -> str:
    """How a run failed, and whether that waits."""
    if run.status == ERROR:
        if run.only_end:
            return f"A run was reported as failed at {clock.full(run.known)}; it never reported a start."
        ended = "" if run.known == run.began else f" at {clock.again(run.known, run.began)}"
        return f"The run that began at {clock.full(run.began)} was reported as failed{ended}."
    if run.status == MISSED:
        found = (
            f"Expected at {clock.full(run.began)}, it did not come: the tick of {clock.full(run.known)} found it "
            "missed."
        )
    else:
        end = "" if run.late_end is None else f" (its end came at {clock.again(run.late_end, run.known)})"
        found = (
            f"The run that began at {clock.full(run.began)} had not ended at {clock.full(run.known)}: that tick "
            f"found it timed out{end}."
        )
    return found + _waited(run, clock)


def _waited(run: Run, clock: Clock) -> str:
    verdict = run.failure
    if verdict is None:
        return ""
    if verdict.counted is None:
        if verdict.waited_until is not None:
            return " It never counted: it was settled otherwise before its tick was decided."
        return " It waits: too few check-ins came from everybody, and it is not decided why."
    if verdict.counted and verdict.waited_until is not None:
        return (
            f" It counted only from {clock.full(verdict.waited_until)} on, when it was decided that check-ins were not "
            "being lost."
        )
    return ""


def overruled(run: Run, clock: Clock) -> str | None:
    """Why a result did not count; None: it did."""
    verdict = run.failure
    if verdict is not None and verdict.counted is False and verdict.overruled_by is not None:
        later = clock.again(verdict.overruled_by, run.known)
        return f"It did not count, because a run that began later ({later}) has succeeded."
    verdict = run.success
    if verdict is not None and verdict.counted is False and verdict.overruled_by is not None:
        later = clock.again(verdict.overruled_by, run.known)
        return f"Its success does not count, because a run that began later ({later}) has failed."
    return None


def success(run: Run, facts: Facts, clock: Clock) -> str:
    """How a run went that ended well, and for which time it stood."""
    if run.only_end:
        due = _due(run, facts, clock)
        return (
            f"Its newest run was reported as ok at {clock.full(run.known)}{due}; it never reported a start."
        )
    return f"Its newest run that ended began at {clock.full(run.began)}{_due(run, facts, clock)}, and was ok."


def _due(run: Run, facts: Facts, clock: Clock) -> str:
    """For which time a run stood: its own, one that had been missed, or none."""
    if run.expected is None:
        return ""
    late = run.began - run.expected
    if late >= timedelta():
        by = f", {span(late)} late" if late > timedelta(minutes=facts.config.checkin_margin) else ""
        return f", due at {clock.full(run.expected)}{by}"
    before = facts.before[-1] if facts.before else None
    if before is not None and before.status == MISSED:
        late_for = f"{span(run.began - before.began)} late for the run of {clock.full(before.began)}"
        return f", {late_for}, which had been missed"
    early = f"{span(-late)} before it was due at {clock.full(run.expected)}"
    if facts.config.schedule_type != "crontab" or facts.expected != run.expected:
        return f", {early}"
    last = "" if before is None else f"the run before began at {clock.full(before.began)}, and "
    return f", as an extra run ({last}the next is due at {clock.full(run.expected)})"


def state_of_failure(facts: Facts, incident: Incident, clock: Clock) -> Said:
    """Which failures reached the threshold, what failed since, and what is needed to be well again."""
    for run in incident.row[:MOST_ALIKE]:
        yield "failure", failure(run, clock)
    if len(incident.row) > MOST_ALIKE:
        yield "failure", f"And {len(incident.row) - MOST_ALIKE} more like that."
    if incident.row:
        reached = len(incident.row)
        yield (
            "threshold",
            f"{count(reached, 'failure')} in a row: the threshold is {reached}, so incident "
            f"{incident.incident_id} was opened at {clock.full(incident.opened)}.",
        )
    else:
        yield (
            "threshold",
            f"Incident {incident.incident_id} is open; what was decided about its failures is no longer kept.",
        )
    if incident.later:
        more = count(len(incident.later), "more check-in")
        yield "failure", f"{more} failed since. The newest: {failure(incident.later[-1], clock)}"
    if facts.overruled:
        yield "failure", _not_counted(facts.overruled[-1], clock)
    if facts.successes:
        yield (
            "threshold",
            f"{count(facts.successes, 'success', 'successes')} in a row since: "
            f"{facts.config.recovery_threshold} are needed.",
        )
    yield from _alike(facts, clock)


def _not_counted(run: Run, clock: Clock) -> str:
    reason = overruled(run, clock)
    if run.failure is not None and run.failure.overruled_by is not None:
        return f"{failure(run, clock)} {reason}"
    return f"The run that began at {clock.full(run.began)} ended well. {reason}"


def _alike(facts: Facts, clock: Clock) -> Said:
    if facts.recurrence is not None:
        yield "pattern", recurrence(facts.recurrence)
    if facts.neighbours is not None:
        yield "pattern", neighbours(facts.neighbours, clock)


def recurrence(found: Recurrence) -> str:
    """It fails at the same time again and again."""
    if found.weekday is not None:
        return (
            f"It is the {ordinal(found.count)} incident in a row that began on a {found.weekday} at about "
            f"{found.hour_minute}."
        )
    return f"It is the {ordinal(found.count)} incident in a row that began at about {found.hour_minute}."


def neighbours(found: Neighbours, clock: Clock) -> str:
    """Others stopped with it."""
    others = found.slugs[1:]
    named = ", ".join(others[:MOST_ALIKE]) + (
        f" and {len(others) - MOST_ALIKE} more" if len(others) > MOST_ALIKE else ""
    )
    when = f"at {clock.full(found.first)}"
    if found.last != found.first:
        when = f"from {clock.full(found.first)} to {clock.again(found.last, found.first)}"
    return f"{len(found.slugs)} jobs of this project stopped within the same half hour, {when}: this one, {named}."


def shift(found: Shift, clock: Clock) -> str:
    """Its runs come an hour off since the clocks were changed."""
    runs = "Its run has" if found.runs == 1 else f"Its {found.runs} runs have"
    way = "late" if found.is_late else "early"
    put = "forward" if found.is_forward else "back"
    return (
        f"{runs} come about an hour {way} since the clocks of {found.where} were put {put} at {clock.full(found.at)}: "
        "the job may go by another time zone than its monitor."
    )


def state_of_success(facts: Facts, clock: Clock) -> Said:
    """What the newest incident was, what ended last, and how many failures there are in a row."""
    incident = facts.incident
    if incident is not None and incident.resolved is not None:
        yield "threshold", _resolved(incident, clock)
    newest = facts.newest
    if newest is None:
        return
    if newest.status == OK:
        yield "state", success(newest, facts, clock)
    else:
        yield "failure", failure(newest, clock)
    if (reason := overruled(newest, clock)) is not None:
        yield "threshold", reason
    if facts.failing:
        yield "threshold", in_a_row(facts.failing, newest, facts.config.failure_threshold, clock)


def _resolved(incident: Incident, clock: Clock) -> str:
    assert incident.resolved is not None
    by = ""
    if incident.is_reset:
        by = " by a control"
    elif (run := incident.resolving) is not None and not run.only_end:
        by = f" by the run that began at {clock.full(run.began)}"
    return (
        f"Its newest incident, {incident.incident_id}, began at {clock.full(incident.starting)} and was resolved at "
        f"{clock.full(incident.resolved)}{by}."
    )


def in_a_row(failing: Sequence[Run], newest: Run, threshold: int, clock: Clock) -> str:
    """How far a row of failures is from an incident."""
    text = f"{count(len(failing), 'failure')} in a row: "
    if newest.check_in_id != failing[-1].check_in_id:
        text = f"{count(len(failing), 'failure')} in a row, the newest at {clock.full(failing[-1].known)}: "
    if len(failing) < threshold:
        return f"{text}not yet the threshold, {threshold}."
    return f"{text}the threshold has become {threshold} since, and is compared when a run fails next."


def coming(facts: Facts, clock: Clock) -> Said:
    """What is in progress, what is unknown, and what is due next."""
    for run in facts.running[-MOST_ALIKE:]:
        limit = f"; it times out at {clock.full(run.timeout_at)}" if run.timeout_at is not None else ""
        yield "expected", f"In progress: a run that began at {clock.full(run.began)}{limit}."
    if not facts.running and facts.newest is not None and facts.newest.status == TIMEOUT:
        yield "expected", "Nothing is in progress."
    if facts.unknown:
        yield (
            "volume",
            f"{count(len(facts.unknown), 'check-in')} since then {'is' if len(facts.unknown) == 1 else 'are'} "
            f"unknown, the newest of {clock.full(facts.unknown[-1].began)}: check-ins were being lost, the monitor "
            "was disabled or in maintenance, so nobody can tell.",
        )
    if (lost := facts.system_incident) is not None:
        until = "" if lost.end is None else f", until {clock.full(lost.end)}"
        yield (
            "volume",
            f"Check-ins were being lost from {clock.full(lost.start)} on{until}: {lost.volume} came in a minute "
            f"that has {lost.usual:g} on other days. Misses and time-outs did not count.",
        )
    if facts.expected is not None and facts.disabled_since is None:
        latest = facts.expected + timedelta(minutes=facts.config.checkin_margin)
        tense, missed = ("is", "is") if facts.is_now else ("was", "would be")
        yield (
            "expected",
            f"Next it {tense} expected at {clock.full(facts.expected)}, and {missed} missed from "
            f"{clock.full(latest)} on.",
        )


def refusals(found: Refusals, facts: Facts, clock: Clock) -> str:
    """Check-ins came, and were rejected."""
    verb = "was" if found.count == 1 else "were"
    since = " since" if found.since is not None else ""
    meanings = [REASONS[each] for each in found.reasons if each in REASONS]
    meaning = f" ({'; '.join(meanings)})" if meanings else ""
    others = "".join(f"; {number} with {name}" for name, number in found.others)
    return (
        f"{count(found.count, 'check-in')} that named it {verb} rejected{since}, the newest at "
        f"{clock.again(found.newest, facts.at)}: {', '.join(found.reasons)}{meaning}{others}."
    )


def messages(facts: Facts, clock: Clock) -> Said:
    """What people were notified of, and what kept them from being notified."""
    newest = facts.message
    if newest is None:
        yield "message", "Nothing has been sent about it."
    elif newest.is_flapping:
        yield (
            "message",
            f"It was reported at {clock.full(newest.at)} that it goes back and forth between ok and error; "
            "further messages wait until it is calm.",
        )
    else:
        yield "message", f"The newest message about it: {newest.payload_type}, {clock.full(newest.at)}."
    held = _held(facts)
    if held is not None:
        yield "message", held
    if facts.broken is not None:
        muted = f", and muted at {clock.full(facts.broken.muted)}" if facts.broken.muted else ""
        yield (
            "message",
            f"It counts as broken: it has been failing for weeks. That was noticed at "
            f"{clock.full(facts.broken.detected)}{muted}.",
        )
    if (mute := facts.mute) is not None:
        what = "The monitor is" if mute.is_whole_monitor else "It is"
        who = "by a control" if mute.is_by_person else "because it was broken"
        since = f" since {clock.full(mute.since)}" if mute.since is not None else ""
        yield "message", f"{what} muted{since}, {who}: failures are recorded, and nobody is notified."


def _held(facts: Facts) -> str | None:
    """What became of the message about the newest failure, if it was not sent."""
    incident = facts.incident
    if incident is None or not incident.is_open or not (incident.later or incident.row):
        return None
    newest = (incident.later or incident.row)[-1]
    message = newest.failure.message if newest.failure is not None else None
    if message == "muted":
        return "No message was sent about the newest failure: it was muted then."
    if message == "flapping":
        return (
            "The message about the newest failure was held back: it went back and forth between ok and error."
        )
    return None


def deletion(found: Deletion, clock: Clock | None = None) -> str:
    """What is gone, since when, and by what."""
    at = clock.full(found.at) if clock is not None else in_utc(found.at)
    return f"deleted at {at} by a control (delete_monitor, {found.position})"
