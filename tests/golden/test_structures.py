"""The layout of all that is stored is frozen: what changes it has to be done on purpose."""

from __future__ import annotations

import json
from difflib import unified_diff

import msgspec
import pytest

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.config import MonitorConfig
from tests.golden.structures import ADVICE, FILE, describe


def shown(description):
    return json.dumps(description, indent=1).splitlines()


def frozen():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_what_is_stored_is_laid_out_as_it_was():
    changes = list(
        unified_diff(shown(frozen()), shown(describe()), "structures.json", "the code", lineterm="", n=2)
    )
    if changes:
        pytest.fail("\n".join([*changes, ADVICE]), pytrace=False)


def fields_of(kind):
    return [(f.name, f.type, msgspec.field(default=f.default)) for f in msgspec.structs.fields(kind)]


def like(kind, fields):
    """A structure like this one, with other fields."""
    config = kind.__struct_config__
    return msgspec.defstruct(kind.__name__, fields, array_like=config.array_like, tag=config.tag)


@pytest.mark.parametrize("first", range(2, 6))
def test_two_fields_of_one_type_that_change_places_are_noticed(first):
    fields = fields_of(MonitorConfig)
    assert (
        describe({"s": (1, {"state": like(MonitorConfig, fields)})})["structures"]["MonitorConfig"]
        == (frozen()["structures"]["MonitorConfig"])
    )
    fields[first], fields[first + 1] = fields[first + 1], fields[first]
    swapped = describe({"s": (1, {"state": like(MonitorConfig, fields)})})
    assert swapped["structures"]["MonitorConfig"] != frozen()["structures"]["MonitorConfig"]


@pytest.mark.parametrize("tag", [5, 6])
def test_another_tag_is_noticed(tag):
    renamed = msgspec.defstruct("RuleRequested", fields_of(RuleRequested), array_like=True, tag=tag)
    found = describe({"s": (1, {"state": renamed})})["structures"]["RuleRequested"]
    assert (found == frozen()["structures"]["RuleRequested"]) == (tag == 5)
