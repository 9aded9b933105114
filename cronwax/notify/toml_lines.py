"""Where in a TOML file something stands: found by reading longer and longer beginnings of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

_PLACE = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")


class TomlError(Exception):
    """A text is no TOML; the text says why, and `line` where."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def parse(text: str) -> dict[str, Any]:
    """The content of a text. Raises TomlError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        found = _PLACE.search(reason)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise TomlError(_PLACE.sub("", reason), line) from None
    except RecursionError:
        raise TomlError("it is nested too deeply", 1) from None


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, on which the value at a path begins; of what is not there, that of what should hold it."""
    wanted = _known_part(parse(text), path)
    lines = text.splitlines()
    before = 0
    """So many lines are TOML by themselves, and do not hold it yet."""
    for count in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:count]))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue  # in the middle of a value of several lines
        if len(_known_part(content, wanted)) == len(wanted):
            return before + 1 if wanted else 1
        before = count
    return 1


def _known_part(content: Any, path: Sequence[str | int]) -> list[str | int]:
    """A path as far as it leads to something; parts that nothing has (a validator's own) are passed over."""
    found: list[str | int] = []
    for part in path:
        try:
            content = content[part]
        except (LookupError, TypeError):
            continue
        found.append(part)
    return found
