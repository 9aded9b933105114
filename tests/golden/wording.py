"""Texts for people that were reworded since a golden set was made, and fields that messages got since: what had been
sent before the stop is as it was then, what came after it as it is today."""

from __future__ import annotations

import re

from tests.processes import Outcome

REWORDED = (
    (r"mend it, or delete it;", "fix it or delete it;"),
    (
        r"check-ins are being lost since ([^ ]+): (\d+) came in a minute that has ([\d.]+) on other days; "
        "misses and time-outs are not told until that is over, failures that jobs report are",
        r"check-ins have been lost since \1: \2 came in a minute that usually has \3; "
        "misses and time-outs are not reported until this is over, failures that jobs report still are",
    ),
    (
        r"check-ins come as usual again since ([^ ]+); what was due since ([^ ]+) and did not come is unknown",
        r"check-ins have come as usual again since \1; runs that were due since \2 and did not report are unknown",
    ),
    (r"no ts that is a time", "ts is missing or not a time"),
)
"""Earlier words as a pattern, and today's."""
LATER_FIELDS = (
    (r'"evidence_data":\{[^}]*\}', '"evidence_data":{}'),
    (r'("new_substatus":null),"detection_time":[0-9.]+', r"\1"),
)
"""Fields of messages as a pattern, and what stood there earlier. tests/flow/test_messages.py tests what is in them."""


def in_todays_words(outcome: Outcome) -> Outcome:
    """The outcome with reworded texts replaced; everything else stays, byte by byte."""
    tables = {name: _reworded(rows) for name, rows in outcome.tables.items()}
    return Outcome(tables, _reworded(outcome.occurrences), _reworded(outcome.dead_letters))


def _reworded(lines: list[str]) -> list[str]:
    for earlier, today in (*REWORDED, *LATER_FIELDS):
        lines = [re.sub(earlier, today, line) for line in lines]
    return sorted(lines)
