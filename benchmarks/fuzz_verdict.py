"""What must hold after mutated messages: nothing of the calm monitors differs, and nothing was lost."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

import duckdb

from benchmarks.fuzz_traffic import CALM, CALM_ORGANIZATION, PARTITIONS, Reading, Sent, reading

SHOWN = 3
_BY_SLUG = (
    "monitors",
    "monitor_status_history",
    "monitor_environments",
    "check_ins",
    "incidents",
    "broken_monitors",
    "monitor_config_history",
    "mute_history",
    "status_changes",
    "processing_errors",
    "check_in_samples",
)
_CALM_ROWS = {
    table: f"SELECT COLUMNS(*)::VARCHAR FROM {table} WHERE slug LIKE '{CALM}%'" for table in _BY_SLUG
} | {
    "sampling_rules": f"SELECT COLUMNS(*)::VARCHAR FROM sampling_rules WHERE organization_id = {CALM_ORGANIZATION}"
}
_EACH = """SELECT "partition", "offset", bool_or(list_contains(error_types, 'MALFORMED_MESSAGE')) FROM processing_errors
    WHERE topic = ? GROUP BY ALL"""
_SAMPLES = 'SELECT "partition", "offset" FROM check_in_samples WHERE topic = ?'
Rows = dict[str, Counter[tuple[object, ...]]]


class Letter(NamedTuple):
    """A dead letter: where its message was, and a checksum of the whole of it."""

    partition: int
    offset: int
    checksum: int


class Ledger:
    """What was sent, by partition and offset."""

    def __init__(self) -> None:
        self._readings = [bytearray() for _ in range(PARTITIONS)]
        self._checksums = [array("L") for _ in range(PARTITIONS)]
        self.wild = 0
        self.unreadable = 0

    def sent(self, message: Sent) -> None:
        """Note a message; each partition's are noted in the order of their offsets."""
        found = (
            reading(message.value)
            if message.is_wild
            else Reading.PULSE
            if _is_pulse(message)
            else Reading.CHECK_IN
        )
        self._readings[message.partition].append(found)
        self._checksums[message.partition].append(crc32(message.value))
        self.wild += message.is_wild
        self.unreadable += found == Reading.UNREADABLE

    def lengths(self) -> list[int]:
        """Messages by partition."""
        return list(map(len, self._readings))

    def complaints(
        self, tables: duckdb.DuckDBPyConnection, topic: str, letters: Iterable[Letter]
    ) -> list[str]:
        """What does not add up, a line each: every message must be in exactly the places where it belongs.

        Needs a flow with a base sample rate of 1: a check-in that passed the gate is in `check_in_samples`.
        """
        traces = [bytearray(len(each)) for each in self._readings]
        said: list[str] = []
        for partition, offset, is_malformed in tables.execute(_EACH, [topic]).fetchall():
            traces[partition][offset] |= _MALFORMED if is_malformed else _REJECTED
        for partition, offset in tables.execute(_SAMPLES, [topic]).fetchall():
            traces[partition][offset] |= _TAKEN
        for letter in letters:
            found = traces[letter.partition]
            if found[letter.offset] & _LETTER:
                said.append(f"{letter.partition}/{letter.offset}: two dead letters")
            found[letter.offset] |= _LETTER
            if self._checksums[letter.partition][letter.offset] != letter.checksum:
                said.append(f"{letter.partition}/{letter.offset}: the dead letter is not what was sent")
        for partition, found in enumerate(traces):
            for offset, trace in enumerate(found):
                expected = Reading(self._readings[partition][offset])
                if trace not in _FITTING[expected]:
                    said.append(f"{partition}/{offset}: {expected.name} left {_words(trace)}")
        return said


_MALFORMED, _REJECTED, _TAKEN, _LETTER = 1, 2, 4, 8
_DEAD = _MALFORMED | _LETTER
_FITTING: Mapping[Reading, tuple[int, ...]] = {
    Reading.CHECK_IN: (_REJECTED, _TAKEN, _REJECTED | _TAKEN),
    Reading.PULSE: (0,),
    Reading.UNREADABLE: (_DEAD,),
    Reading.UNSURE: (_DEAD, _REJECTED, _TAKEN, _REJECTED | _TAKEN),
}
"""By what a message is, the traces that it may leave; a check-in that passed the gate may be rejected behind it."""


def calm_rows(tables: duckdb.DuckDBPyConnection) -> Rows:
    """All rows about calm monitors."""
    return {name: Counter(tables.execute(sql).fetchall()) for name, sql in _CALM_ROWS.items()}


def differences(expected: Rows, found: Rows) -> list[str]:
    """In words, what one has and the other has not."""
    said = []
    for name, rows in expected.items():
        for what, extra in (("missing", rows - found[name]), ("too many", found[name] - rows)):
            if extra:
                said.append(f"{name}: {extra.total()} {what}: {[*extra][:SHOWN]}")
    return said


def _is_pulse(message: Sent) -> bool:
    return reading(message.value) is Reading.PULSE


def _words(trace: int) -> str:
    names = {
        _MALFORMED: "a row MALFORMED",
        _REJECTED: "an error",
        _TAKEN: "a sample",
        _LETTER: "a dead letter",
    }
    return ", ".join(name for bit, name in names.items() if trace & bit) or "nothing"
