"""What travels between steps: chunks of items, records, messages and dead letters."""

from __future__ import annotations

from typing import Any

from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.changes import Change, EnvironmentReset
from dataflow.monitors.check_in import NO_MINUTE, CheckIn, Control
from dataflow.monitors.decisions import TickEvent
from dataflow.stream.codecs import Sent, sent

END_OF_TIME = 2**40
"""The minute that an input which never had a time stands at once it has ended: it holds nobody back."""


Item = CheckIn | Control | Change | EnvironmentReset | RuleRequested


@sent
class Chunk(Sent, array_like=True):
    """Items in order, on their way from one origin to one key group, and the clock that holds behind them."""

    origin: int
    """Which partition or key group it comes from."""
    target: int
    """The key group it goes to."""
    items: list[Item]
    clock_minute: int = NO_MINUTE
    """Everything that the origin holds before this minute has been sent; NO_MINUTE: nothing new."""


@sent
class Sampled(Chunk, array_like=True):
    """A chunk on its way to sampling: what passed the gate."""


@sent
class Volumes(Sent, array_like=True):
    """How many check-ins a gate group let in, by minute; complete for all minutes before its clock."""

    origin: int
    """The gate group."""
    target: int
    """Always 0: one key judges the whole."""
    counts: dict[int, int]
    clock_minute: int


@sent
class Ticks(Sent, array_like=True):
    """What has been decided about the ticks up to `clock_minute`, on its way to one key group."""

    target: int
    events: list[TickEvent]
    """In order; ticks that are not named are NORMAL."""
    clock_minute: int
    clear_until: int
    """Ticks up to this one will be NORMAL, whatever comes."""


@sent
class Records(Sent, array_like=True):
    """Changes to tables: by table, rows in order.

    A row as long as the table has columns replaces the row of the same identity; a shorter one deletes all rows
    that begin with it (see `state.schema.catalogue`).
    """

    shard: int
    rows: dict[str, list[tuple[Any, ...]]]
    sent_at: float = 0.0
    """With several shards, of what goes to all of them: the machine's time, in seconds since the epoch; 0: unknown."""


@sent
class Message(Sent, array_like=True, gc=False):
    """One message for the occurrences topic."""

    id: str
    key: str
    """The fingerprint."""
    payload: bytes
    """JSON."""


@sent
class DeadLetter(Sent, array_like=True, gc=False):
    """Bytes that are no message, and where they were."""

    topic: str
    partition: int
    offset: int
    reason: str
    original: bytes
