"""A description of all that snapshots hold, from the type hints of what is stored: compared with structures.json.

Stored structures are arrays: a field is known by its place. Two fields of one type that change places would be read
without any error, each as the other.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import inspect

from dataflow.connectors import (
    demo_day,
    demo_source,
    jsonl_source,
    kafka_sinks,
    kafka_source,
    unwritten_records,
)
from dataflow.steps import (
    gate,
    gate_state,
    sample,
    sample_state,
    transition,
    transition_state,
    upsert,
    upsert_state,
    volume,
)
from dataflow.stream.items import PackedRecords
from state.schema.catalogue import TABLES
from tests.golden.sets import FOLDER

FILE = FOLDER / "structures.json"
ADVICE = """
What recovery stores hold has changed. Fields are known by their place, and stores of earlier releases must be read.
- A field may be appended at the end of a structure, with a default: what was stored before has none. Then write the
  description again: python -m tests.golden.make structures
- A new name of a field or structure changes nothing that is stored: write the description again.
- Anything else (another order, a field less, another type or tag) needs a higher version of the step's CODEC, which
  goes on reading what earlier versions wrote; then also a new golden set: python -m tests.golden.make set vN
- A column of a table counts too: rows that are not in DuckDB yet are stored, and shorter ones get what `Since` says.
tests/golden/README.md says more."""

STORED: dict[str, tuple[int, dict[str, Any]]] = {
    "gate": (
        gate.Gate.CODEC.version,
        {"state": gate.Gate.CODEC.layout, "block of members": gate_state.BLOCK},
    ),
    "upsert": (
        upsert.Upsert.CODEC.version,
        {"state": upsert.Upsert.CODEC.layout, "block of monitors": upsert_state.BLOCK},
    ),
    "transition": (
        transition.Transition.CODEC.version,
        {"state": transition.Transition.CODEC.layout, "block of monitors": transition_state.BLOCK},
    ),
    "sample": (
        sample.Sample.CODEC.version,
        {"state": sample.Sample.CODEC.layout, "block of what waits": sample_state.BLOCK},
    ),
    "volume": (volume.Judge.CODEC.version, {"state": volume.Judge.CODEC.layout}),
    "source_file": (jsonl_source._STATE_VERSION, {"state": jsonl_source.FileState}),
    "source_demo": (demo_day.DAY_VERSION, {"state": demo_source.DemoState}),
    "source_kafka": (2, {"state": kafka_source.Position}),
    "tables": (unwritten_records.VERSION, {"block of records": list[PackedRecords]}),
    "topic sinks": (kafka_sinks.SinkSnapshot().version, {"state": kafka_sinks.SinkSnapshot}),
}
"""By step the version of its layout and what is encoded: what a hint alone does not show stands beside it."""


def describe(stored: dict[str, tuple[int, dict[str, Any]]] = STORED) -> dict[str, Any]:
    """The description, as JSON holds it."""
    found = _Structures()
    steps: dict[str, Any] = {}
    for step, (version, parts) in stored.items():
        shown = {name: found.show(inspect.type_info(hint)) for name, hint in parts.items()}
        steps[step] = {"version": version, **shown}
    rows = _Structures()
    of_tables = {name: rows.show(inspect.type_info(table.row)) for name, table in TABLES.items()}
    return {
        "steps": steps,
        "structures": dict(sorted(found.fields.items())),
        "tables": {name: rows.fields[row] for name, row in of_tables.items()},
    }


def write() -> None:
    """Write structures.json."""
    FILE.write_text(json.dumps(describe(), indent=1) + "\n", encoding="utf-8")


class _Structures:
    """The structures that were met, by name."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self._classes: dict[str, type] = {}

    def show(self, info: inspect.Type) -> str:
        """A type as text; the structures in it are noted."""
        match info:
            case inspect.StructType() | inspect.NamedTupleType():
                self._note(info)
                return info.cls.__name__
            case inspect.UnionType():
                return " | ".join(map(self.show, info.types))
            case inspect.DictType():
                return f"dict[{self.show(info.key_type)}, {self.show(info.value_type)}]"
            case inspect.TupleType():
                return f"tuple[{', '.join(map(self.show, info.item_types))}]"
            case inspect.VarTupleType():
                return f"tuple[{self.show(info.item_type)}, ...]"
            case inspect.ListType():
                return f"list[{self.show(info.item_type)}]"
        if type(info) in _PLAIN:
            return type(info).__name__.removesuffix("Type").lower()
        raise TypeError(f"tests/golden/structures.py has no words for {info}")

    def _note(self, info: inspect.StructType | inspect.NamedTupleType) -> None:
        name = info.cls.__name__
        known = self._classes.setdefault(name, info.cls)
        assert known is info.cls, f"two stored structures are called {name}"
        if name in self.fields:
            return
        self.fields[name] = {}  # it may hold itself
        fields = [self._field(field) for field in info.fields]
        array, tag = True, None
        if isinstance(info, inspect.StructType):
            array, tag = info.array_like, info.tag
        self.fields[name] = {"array": array, "tag": tag, "fields": fields}

    def _field(self, field: inspect.Field) -> str:
        text = f"{field.encode_name}: {self.show(field.type)}"
        if field.required:
            return text
        default = field.default
        if default is msgspec.NODEFAULT:
            default = field.default_factory()
        return f"{text} = {int(default) if isinstance(default, IntEnum) else default!r}"


_PLAIN = (
    inspect.AnyType,
    inspect.BoolType,
    inspect.BytesType,
    inspect.FloatType,
    inspect.IntType,
    inspect.NoneType,
    inspect.RawType,
    inspect.StrType,
)
