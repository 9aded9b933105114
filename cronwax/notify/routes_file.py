"""The routes file: TOML, read again when it changes; a faulty version is refused, with the line of the mistake."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cronwax.notify.events import KINDS, Kind
from cronwax.notify.policy import Policy
from cronwax.notify.routes import DEFAULT, Route, Routes
from cronwax.notify.secret_values import SecretError
from cronwax.notify.targets.registry import AnyTarget
from cronwax.notify.texts import LINK_NAMES
from cronwax.notify.toml_lines import TomlError, line_of, parse
from dataflow.process.log import log, warn

CHECK_SECONDS = 2.0
"""The pause between two looks at the file, at least."""
MAX_BYTES = 1_000_000
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MAX_DURATION_S = 366 * 86_400

Place = tuple[str | int, ...]


class RoutesError(Exception):
    """The routes file cannot be used; the text says why and where, in one line, and quotes no value."""


def _seconds(value: object) -> object:
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        return int(found[1]) * _UNITS_S[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a duration such as '30m', '4h' or '1d', or a number of seconds")
    return value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _as_target(value: object) -> object:
    return {"type": "apprise", "url": value} if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=_MAX_DURATION_S)]
Globs = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_as_list)]
Names = Annotated[list[str], Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DefaultTable(_Table):
    """The table `default`: for what no route has kept for itself."""

    targets: Names
    remind_after: Seconds | None = None


class RouteTable(_Table):
    """One of the tables `routes`."""

    targets: Names
    name: str | None = Field(default=None, pattern=_NAME)
    project: Annotated[list[int], BeforeValidator(_as_list)] | None = None
    slug: Globs = Field(default_factory=list)
    environment: Globs = Field(default_factory=list)
    owner: Globs = Field(default_factory=list)
    kinds: Annotated[list[Kind], Field(min_length=1)] = list(KINDS)
    goes_on: bool = Field(default=False, alias="continue")
    remind_after: Seconds | None = None


class RoutesTables(_Table):
    """The whole file."""

    storm_size: int = Field(default=10, ge=1, le=1_000_000)
    retry_hours: float = Field(default=24.0, gt=0, le=8_760)
    retry_first: Seconds = 2.0
    retry_longest: Seconds = 300.0
    remind_after: Seconds | None = None
    keep_days: float = Field(default=90.0, gt=0, le=36_500)
    link: str | None = None
    acknowledge: str | None = None
    targets: dict[Annotated[str, Field(pattern=_NAME)], Annotated[AnyTarget, BeforeValidator(_as_target)]] = (
        Field(default_factory=dict)
    )
    routes: list[RouteTable] = Field(default_factory=list)
    default: DefaultTable | None = None

    def policy(self) -> Policy:
        """What planning needs of it."""
        return Policy(
            routes=Routes(
                tuple(_route(name_of(table, index), table) for index, table in enumerate(self.routes)),
                None
                if self.default is None
                else Route(
                    DEFAULT,
                    tuple(self.default.targets),
                    remind_after_ms=_ms(self.default.remind_after),
                ),
            ),
            targets={name: target.traits for name, target in self.targets.items()},
            storm_size=self.storm_size,
            link=self.link,
            remind_after_ms=_ms(self.remind_after),
        )


def name_of(table: RouteTable, index: int) -> str:
    """A route's name; without one of its own, its number."""
    return table.name or f"route-{index + 1}"


def read_routes(path: Path) -> tuple[RoutesTables, list[str]]:
    """The file, and what is wrong with its secrets, a line for each target: such a one is tried all the same, as a
    secret may come later. Raises RoutesError for the first of all other mistakes."""
    text = _text_of(path)
    try:
        tables = RoutesTables.model_validate(parse(text))
    except TomlError as error:
        raise RoutesError(f"{path}: line {error.line}: {error}") from None
    except ValidationError as error:
        # A mistake in a union's member is reported before what follows from it.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        raise _mistake(path, text, _without_tag(first["loc"]), message) from None
    for place, message in _contradictions(tables):
        raise _mistake(path, text, place, message)
    warnings = []
    for name, target in tables.targets.items():
        try:
            target.secrets()
            problem = target.check()
        except SecretError as error:
            warnings.append(f"target {name}: {error}")
            continue
        if problem is not None:
            key, separator, _ = problem.partition(": ")
            place = ("targets", name, key) if separator else ("targets", name)
            raise _mistake(path, text, place, problem.removeprefix(f"{key}: ") if separator else problem)
    return tables, warnings


class RoutesFile:
    """The file as it is now. A faulty version is refused with one log line, while the one before stays."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises RoutesError when it cannot be used to begin with."""
        self._path = path
        self._monotonic = monotonic
        self._looked = monotonic()
        self._stamp = self._stamp_now()
        self.tables, warnings = read_routes(path)
        _warn_of(warnings)

    def has_changed(self) -> bool:
        """Look, if it is time to; whether `tables` are others now."""
        now = self._monotonic()
        if now - self._looked < CHECK_SECONDS:
            return False
        self._looked = now
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.tables, warnings = read_routes(self._path)
        except RoutesError as error:
            warn("routes_refused", text=f"{error}; the version before stays in force")
            return False
        log("routes_read", path=self._path, targets=len(self.tables.targets), routes=len(self.tables.routes))
        _warn_of(warnings)
        return True

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _warn_of(warnings: list[str]) -> None:
    for each in warnings:
        warn("target_secret", text=f"{each}; it is tried again with each notification")


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RoutesError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise RoutesError(f"{path}: larger than {MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RoutesError(f"{path}: line {line}: is not UTF-8") from None


def _contradictions(tables: RoutesTables) -> Iterator[tuple[Place, str]]:
    """Mistakes that no table shows by itself."""
    if not tables.targets:
        yield (), "it names no target"
    if not tables.routes and tables.default is None:
        yield (), "it has no route: add [[routes]] or [default]"
    names: dict[str, int] = {DEFAULT: -1}
    for index, table in enumerate(tables.routes):
        yield from _unknown(tables, ("routes", index), table.targets)
        name = name_of(table, index)
        if (before := names.setdefault(name, index)) != index:
            other = "the default route" if before < 0 else f"route {before + 1}"
            yield ("routes", index, "name"), f"{name} is the name of {other} too"
    if tables.default is not None:
        yield from _unknown(tables, ("default",), tables.default.targets)
    for placeholder in _PLACEHOLDER.findall(tables.link or ""):
        if placeholder not in LINK_NAMES:
            yield (
                ("link",),
                f"there is no {{{placeholder}}}, only {', '.join(f'{{{n}}}' for n in LINK_NAMES)}",
            )
    for name, address in (("link", tables.link), ("acknowledge", tables.acknowledge)):
        if address is not None and not address.startswith(("http://", "https://")):
            yield (name,), "must begin with http:// or https://"
    if tables.retry_longest < tables.retry_first:
        yield ("retry_longest",), "must not be less than retry_first"


def _unknown(tables: RoutesTables, place: Place, targets: list[str]) -> Iterator[tuple[Place, str]]:
    for target in targets:
        if target not in tables.targets:
            yield (*place, "targets"), f"there is no target {target}"


def _mistake(path: Path, text: str, place: Place, message: str) -> RoutesError:
    where = _place_in_words(place)
    return RoutesError(f"{path}: line {line_of(text, place)}: {f'{where}: ' if where else ''}{message}")


def _without_tag(place: Place) -> Place:
    """A place as the file has it: pydantic puts the kind of a target behind its name."""
    return (*place[:2], *place[3:]) if place[:1] == ("targets",) else place


def _place_in_words(place: Place) -> str:
    """`routes[1].kinds`: numbers count from 1, as people do."""
    words = ""
    for part in place:
        if isinstance(part, int):
            words += f"[{part + 1}]"
        else:
            words += f".{part}" if words else part
    return words


def _route(name: str, table: RouteTable) -> Route:
    return Route(
        name,
        tuple(dict.fromkeys(table.targets)),
        None if table.project is None else frozenset(table.project),
        tuple(table.slug),
        tuple(table.environment),
        tuple(table.owner),
        frozenset(table.kinds),
        table.goes_on,
        _ms(table.remind_after),
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
