"""The layout of all that is stored is frozen: what changes it has to be done on purpose."""

from __future__ import annotations

import json
from difflib import unified_diff

import msgspec
import pytest

from dataflow.monitors.config import MonitorConfig
from tests.golden.structures import ADVICE, FILE, STORED, describe


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


def test_another_tag_is_noticed():
    [control] = [
        one for one in msgspec.inspect.type_info(STORED["sample"][1]["state"]).fields if one.name == "waiting"
    ]
    tags = {each.cls.__name__: each.tag for each in control.type.item_type.types}
    assert tags == {name: frozen()["structures"][name]["tag"] for name in tags}
    assert sorted(tags.values()) == [0, 1, 5]
