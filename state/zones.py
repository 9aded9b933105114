"""The one place that reads zone data, for the rules and for questions alike.

It comes from the package `tzdata`, never from the machine: all processes, and all who ask about their results, must
agree on every time.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo


@cache
def zone_names() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """A time zone by a name from `zone_names`. Raises KeyError for another name."""
    if name not in zone_names():
        raise KeyError(name)
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
