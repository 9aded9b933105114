"""What a table is: a class whose fields are the columns, and everything else that is known about the table.

A row class says all that there is to say about its table: names, types, order and comments of the columns, what
identifies a row, whether the table has history, and what retention goes by. The SQL schema, the writer's statements,
upgrades of older files, the data dictionary and the retention setting are made from it. Times are µs since the epoch,
UUIDs are 16 bytes, JSON is text as bytes; the writer turns them into the column types.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec


class Kind(Enum):
    """What a column holds; the value is its SQL type."""

    INT = "BIGINT"
    SMALL_INT = "INTEGER"
    ID = "UBIGINT"
    """Sentry's own numbers, which use all 64 bits."""
    TEXT = "VARCHAR"
    BOOL = "BOOLEAN"
    FLOAT = "DOUBLE"
    TIME = "TIMESTAMPTZ"
    UUID = "UUID"
    JSON = "JSON"
    TEXTS = "VARCHAR[]"
    POSITIONS = 'STRUCT(topic VARCHAR, "partition" BIGINT, "position" BIGINT, clock TIMESTAMPTZ)[]'


Id = Annotated[int, Kind.ID]
SmallInt = Annotated[int, Kind.SMALL_INT]
TimeUs = Annotated[int, Kind.TIME]
Uuid = Annotated[bytes, Kind.UUID]
Json = Annotated[bytes, Kind.JSON]
Positions = Annotated[list[tuple[str, int, int, int]], Kind.POSITIONS]

_KINDS = {int: Kind.INT, str: Kind.TEXT, bool: Kind.BOOL, float: Kind.FLOAT, list[str]: Kind.TEXTS}
"""Of types that need no name of their own."""


class Since(NamedTuple):
    """With which schema version a column came."""

    version: int
    fill: str = "NULL"
    """SQL: what rows have that were written before."""


class History(NamedTuple):
    """Of a table whose rows of closed hours move to Parquet files."""

    time: str
    """The column that says when a row was: by it rows go to hours and days. It never changes."""
    order: tuple[str, ...]
    """How a file is sorted: rows that are asked for together lie together."""
    movable: str = "TRUE"
    """SQL: which rows will hardly change any more."""


class Spec(NamedTuple):
    """What a row class says about its table as a whole."""

    name: str
    identity: tuple[str, ...] = ()
    """The columns that identify a row, from the widest to the narrowest: rows are deleted by the first ones."""
    history: History | None = None
    retained_by: str | None = None
    """The column that retention goes by, of a table without history that grows for as long as check-ins come."""
    since: int = 1
    """The schema version that the table came with."""


class Row(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A row of a table. Its docstring and the texts of its fields are the comments that analysts see."""

    TABLE: ClassVar[Spec]


class Column(NamedTuple):
    """One column."""

    name: str
    kind: Kind
    comment: str
    since: Since


class Table:
    """One table, from its row class."""

    def __init__(self, row: type[Row]) -> None:
        spec = row.TABLE
        self.row = row
        self.name = spec.name
        self.comment = " ".join(inspect.cleandoc(row.__doc__ or "").split())
        self.columns = tuple(_columns(row))
        self.names = tuple(column.name for column in self.columns)
        self.identity = spec.identity
        self.history = spec.history
        self.retained_by = spec.history.time if spec.history is not None else spec.retained_by
        self.since = spec.since
        self.key_of: Callable[[Any], tuple[Any, ...]] = _key_getter(spec.identity)
        """The values of a row that identify it."""

    def column(self, name: str) -> Column:
        """A column by its name."""
        return self.columns[self.names.index(name)]

    def leading(self, length: int) -> list[Column]:
        """The first `length` columns of the identity."""
        return [self.column(name) for name in self.identity[:length]]


def _columns(row: type[Row]) -> list[Column]:
    hints = get_type_hints(row, include_extras=True)
    return [_column(name, hints[name]) for name in row.__struct_fields__]


def _column(name: str, hint: Any) -> Column:
    type_, *notes = get_args(hint)
    comment = next(note for note in notes if isinstance(note, str))
    since = next((note for note in notes if isinstance(note, Since)), Since(1))
    # Annotated within Annotated becomes one: then the kind is among the notes.
    kind = next((note for note in notes if isinstance(note, Kind)), None) or _kind(type_)
    return Column(name, kind, " ".join(comment.split()), since)


def _kind(type_: Any) -> Kind:
    if get_origin(type_) in (Union, UnionType):
        (type_,) = (each for each in get_args(type_) if each is not NoneType)
    if get_origin(type_) is Annotated:
        return next(note for note in get_args(type_) if isinstance(note, Kind))
    return _KINDS[type_]


def _key_getter(identity: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(identity) > 1:
        return attrgetter(*identity)
    if not identity:
        return lambda row: ()
    get = attrgetter(identity[0])
    return lambda row: (get(row),)
