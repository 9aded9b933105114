"""What an answer of `why` claims, sentence by sentence, against a naive model that keeps every run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.builders import START_S
from tests.flow.naive_model import Event, ModelRun, Naive

TIME = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?::\d\d)?(?: UTC)?"


def seconds(text: str, day: str = f"{datetime.fromtimestamp(START_S, UTC):%Y-%m-%d}") -> int:
    """A time of a sentence, in seconds since the epoch; `day` is that of one without a date."""
    text = text.removesuffix(" UTC")
    if "-" not in text:
        text = f"{day} {text}"
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _times(texts: list[str]) -> list[int]:
    """Times of one sentence: one without a date is of the day that was named last."""
    day, times = "", []
    for text in texts:
        day = text[:10] if "-" in text else day
        times.append(seconds(text, day))
    return times


@dataclass
class Truth:
    """The model as it stood at a time."""

    naive: Naive
    at: int
    knows_begins: bool
    """Whether runs were seen when they began, and not reported later."""

    def __post_init__(self) -> None:
        naive = self.naive
        self.counted = [event for at, event in enumerate(naive.events) if not naive.overruled(at)]
        self.overruled = [event for at, event in enumerate(naive.events) if naive.overruled(at)]
        self.outcome = naive.outcome()
        self.incident = self.outcome.incidents[-1] if self.outcome.incidents else None
        self.is_open = self.incident is not None and self.incident["end"] is None

    def tick_of(self, run: ModelRun) -> int:
        return next(event.at for event in self.naive.events if event.run is run and event.is_failure)

    def failure(self, sentence: str) -> Event:
        """The failing run that a sentence names, after its times have been compared."""
        for pattern, status in FAILURES.items():
            if found := re.search(pattern, sentence):
                times = _times([each for each in found.groups() if each])
                for event in self.naive.events:
                    if event.is_failure and event.status == status and self._fits(event, times, status):
                        return event
        raise AssertionError(f"no such failure: {sentence}")

    def _fits(self, event: Event, times: list[int], status: str) -> bool:
        run = event.run
        if status == "error":
            return times[-1] == run.updated and times[0] in (run.added, run.updated)
        expected = [run.added, event.at]
        if len(times) > 2:
            expected.append(run.updated)
        return times == expected

    def row(self) -> list[Event]:
        """Failures in a row, while no incident is open."""
        row: list[Event] = []
        for event in self.counted:
            row = [*row, event] if event.is_failure else []
            if len(row) >= self.naive.threshold:
                row = []
        return row


FAILURES = {
    rf"The run that began at ({TIME}) was reported as failed(?: at ({TIME}))?\.": "error",
    rf"A run was reported as failed at ({TIME})": "error",
    rf"Expected at ({TIME}), it did not come: the tick of ({TIME}) found it": "missed",
    rf"The run that began at ({TIME}) had not ended at ({TIME}): that tick found it timed out(?: \(its end came at "
    rf"({TIME})\))?\.": "timeout",
}


def _headline(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    state = found[1]
    assert state == truth.outcome.status, sentence
    if state == "error":
        assert truth.incident is not None
        assert seconds(found[2]) == truth.incident["start"], sentence


def _opened(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    assert truth.is_open, sentence
    assert int(found[1]) == int(found[2]) == truth.naive.threshold
    opener = _events_since_opening(truth)[0]
    assert seconds(found[3]) == opener.at, sentence


def _events_since_opening(truth: Truth) -> list[Event]:
    """The failure that opened the incident, and what counted after it."""
    assert truth.incident is not None
    row: list[Event] = []
    opened: list[Event] | None = None
    oks = 0
    for event in truth.counted:
        if opened is None:
            row = [*row, event] if event.is_failure else []
            if len(row) >= truth.naive.threshold:
                opened, row, oks = [event], [], 0
            continue
        opened.append(event)
        oks = 0 if event.is_failure else oks + 1
        if oks >= truth.naive.recovery:
            opened = None
    assert opened is not None
    return opened


def _later(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    opening, *others = _events_since_opening(truth)
    later = [event for event in others if event.is_failure]
    assert int(found[1]) == len(later), sentence
    # Of two that one tick found, either may be the newest, even if the other one opened the incident.
    newest = [event.run for event in (opening, *later) if event.at == later[-1].at]
    assert any(truth.failure(sentence).run is run for run in newest), sentence


def _successes(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    oks = 0
    for event in _events_since_opening(truth)[1:]:
        oks = 0 if event.is_failure else oks + 1
    assert int(found[1]) == oks, sentence
    assert int(found[2]) == truth.naive.recovery


def _not_counted(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    later = seconds(found[1])
    is_failure = sentence.startswith("It did not") or "It did not count" in sentence
    for event in truth.overruled:
        at = truth.naive.events.index(event)
        opposite = [
            each.run.added
            for each in truth.naive.events[:at]
            if each.is_failure != event.is_failure and each.run.added > event.run.added
        ]
        if event.is_failure == is_failure and max(opposite) == later:
            return
    raise AssertionError(sentence)


def _resolved(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    assert truth.incident is not None
    assert not truth.is_open, sentence
    assert seconds(found[1]) == truth.incident["start"], sentence
    resolver = next(
        event
        for event in truth.counted
        if not event.is_failure and event.run.guid == truth.incident["resolving"]
    )
    assert seconds(found[2]) == resolver.at, sentence
    if found[3]:
        assert seconds(found[3]) == resolver.run.added, sentence


def _success(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    began = seconds(found[1])
    assert any(run.status == "ok" and began in (run.added, run.updated) for run in truth.naive.runs), sentence


def _in_a_row(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    row = truth.row()
    assert int(found[1]) == len(row), sentence
    assert int(found[3]) == truth.naive.threshold
    if found[2]:
        assert seconds(found[2]) == (row[-1].at if row[-1].status != "error" else row[-1].run.updated), (
            sentence
        )


def _in_progress(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    running = [run for run in truth.naive.runs if run.status == "in_progress"]
    began = seconds(found[1])
    assert not truth.knows_begins or began in [run.added for run in running], sentence
    if found[2]:
        assert seconds(found[2]) in [run.timeout_at for run in running], sentence


def _nothing_in_progress(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    assert not any(run.status == "in_progress" for run in truth.naive.runs), sentence


def _expected(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    if truth.knows_begins:
        assert truth.naive.next == seconds(found[1]), sentence
        assert seconds(found[2]) == seconds(found[1]) + truth.naive.margin * 60


def _refused(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    assert 1 <= int(found[1]) <= truth.naive.rejected, sentence


def _no_message(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    assert not truth.outcome.occurrences, sentence


def _message(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    sent: list[int] = []
    row: list[Event] = []
    oks = 0
    is_open = False
    for event in truth.counted:
        row = [*row, event] if event.is_failure else []
        oks = 0 if event.is_failure else oks + 1
        if event.is_failure and (is_open or len(row) >= truth.naive.threshold):
            is_open, row = True, []
            sent.append(event.at)
        elif not event.is_failure and is_open and oks >= truth.naive.recovery:
            is_open = False
            sent.append(event.at)
        if event.is_failure and not is_open:
            continue
    assert seconds(found[2]) == max(sent), sentence


def _any(truth: Truth, sentence: str, found: re.Match[str]) -> None:
    """It claims nothing about runs."""


Check = Callable[[Truth, str, Any], None]
CLAIMS: dict[str, Check] = {
    rf"1/m, production, at {TIME}: (error|ok|active)(?:, since ({TIME}))?\.": _headline,
    r"Its schedule (?:is|was) ": _any,
    r"No check-in of it was known by then\.": lambda truth, sentence, found: None,
    rf"(\d+) failures? in a row: the threshold is (\d+), so incident \w+ was opened at ({TIME})\.": _opened,
    r"(\d+) more check-ins? failed since\. The newest: ": _later,
    r"(\d+) success(?:es)? in a row since: (\d+) are needed\.": _successes,
    rf".*not count, because a run that began later \(({TIME})\) has": _not_counted,
    rf"Its newest incident, \w+, began at ({TIME}) and was resolved at ({TIME})"
    rf"(?: by the run that began at ({TIME}))?\.": _resolved,
    rf"Its newest run (?:that ended began|was reported as ok) at ({TIME})": _success,
    rf"(\d+) failures? in a row(?:, the newest at ({TIME}))?: not yet the threshold, (\d+)\.": _in_a_row,
    rf"In progress: a run that began at ({TIME})(?:; it times out at ({TIME}))?\.": _in_progress,
    r"Nothing is in progress\.": _nothing_in_progress,
    rf"Next it (?:is|was) expected at ({TIME}), and (?:is|would be) missed from ({TIME}) on\.": _expected,
    rf"(\d+) check-ins? that named it (?:was|were) rejected(?: since)?, the newest at {TIME}: CHECKIN_FINI": _refused,
    r"Nothing has been sent about it\.": _no_message,
    rf"The newest message about it: (\w+), ({TIME})\.": _message,
}
"""What each kind of sentence is checked by. One that is not here fails."""


def check(answer: str, truth: Truth) -> None:
    """Each sentence of an answer (one a line) against the model. Raises AssertionError."""
    for line in answer.splitlines():
        sentence = line.strip()
        for pattern, claim in CLAIMS.items():
            if found := re.match(pattern, sentence):
                claim(truth, sentence, found)
                break
        else:
            truth.failure(sentence)
