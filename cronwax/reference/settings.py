"""docs/reference/settings.md: every setting."""

from __future__ import annotations

import json
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cronwax.intake.settings import IntakeSettings
from cronwax.notify.settings import NotifySettings
from cronwax.reference.markdown import MADE_BY, table
from dataflow.settings import PREFIX, SECTIONS, Settings

_HEAD = f"""\
# Settings

{MADE_BY}

Settings are environment variables. A wrong value stops the start with one line that names it; so does a variable whose
name is nearly that of a setting. An empty variable counts as not set.
"""
_ALL_SECTIONS = {**SECTIONS, "notify_path": "Notifications"}
_BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


def settings_page() -> str:
    """The whole page."""
    parts, rows = [_HEAD], list[tuple[str, ...]]()
    fields: dict[str, FieldInfo] = {}
    for kind in (Settings, IntakeSettings, NotifySettings):
        fields |= kind.model_fields
    for name, field in fields.items():
        if (section := _ALL_SECTIONS.get(name)) is not None:
            parts += _section(rows)
            parts.append(f"## {section}\n")
            rows = []
        rows.append((f"`{PREFIX}{name.upper()}`", _default(field), _values(field), field.description or ""))
    return "\n".join([*parts, *_section(rows)])


def _section(rows: list[tuple[str, ...]]) -> list[str]:
    return [table(("setting", "default", "values", "meaning"), rows) + "\n"] if rows else []


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value == {}:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`"


def _values(field: FieldInfo) -> str:
    kind = _plain(field.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    words = [_NAMES.get(kind, "JSON object")]
    for constraint in field.metadata:
        for key, text in _BOUNDS.items():
            if (bound := getattr(constraint, key, None)) is not None:
                words.append(text.format(json.dumps(bound)))
    return ", ".join(words)


def _plain(annotation: Any) -> Any:
    """The type behind `X | None` and `Annotated[X, ...]`."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


_NAMES: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    str: "text",
    Path: "path",
}
