"""The flow between ends in memory: a source with any batching and interleaving, and tables as dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.testing import cluster_main, run_main
from msgspec.structs import astuple

from dataflow.endpoints import Endpoints
from dataflow.flow import build
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_TIME
from dataflow.settings import Settings
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.partition_clock import PartitionClock
from dataflow.wire.timestamps import read_ts
from state.schema.catalogue import TABLES
from tests.builders import as_line

Lines = Sequence[dict[str, Any] | str]


class Stopped(Exception):
    """The source ended the run on purpose."""


@dataclass
class Plan:
    """How a partition is read: sizes of batches in turn (0: nothing this time), then all the rest at once."""

    sizes: Sequence[int] = ()
    crash_at: int | None = None
    """Raise before this batch."""


class _Partition(StatefulSourcePartition[SourceBatch, tuple[int, int, bool]]):
    def __init__(
        self,
        origin: int,
        name: str,
        lines: Lines,
        plan: Plan,
        clock_delay_us: int,
        state: tuple[int, int, bool] | None,
    ) -> None:
        self._clock_delay_us = clock_delay_us
        self._origin, self._name, self._lines, self._plan = origin, name, [as_line(x) for x in lines], plan
        self._position, self._clock, self._done = state or (0, NO_MINUTE, False)
        self._turn = 0
        self._announced = False

    def next_batch(self) -> list[SourceBatch]:
        if self._plan.crash_at == self._turn:
            raise Stopped
        if self._position == len(self._lines) and self._announced:
            raise StopIteration
        sizes = self._plan.sizes
        size = sizes[self._turn] if self._turn < len(sizes) else max(1, len(self._lines))
        self._turn += 1
        if not size:
            return []
        taken = self._lines[self._position : self._position + size]
        messages = [(self._position + n + 1, read_ts(line), line) for n, line in enumerate(taken)]
        before = self._clock
        clock = PartitionClock(before, self._clock_delay_us)
        for _, received_us, _ in messages:
            if self._origin >= 0:
                clock.take(received_us)
        self._clock = clock.minute
        self._position += len(taken)
        self._announced = self._position == len(self._lines)
        return [
            SourceBatch(
                self._origin,
                self._name,
                0,
                Format.LINES,
                before,
                messages,
                self._clock,
                self._position,
                self._announced,
                read_us=FOREVER if self._announced else NO_TIME,
            )
        ]

    def snapshot(self) -> tuple[int, int, bool]:
        return self._position, self._clock, self._done


class MemorySource(FixedPartitionedSource[SourceBatch, Any]):
    """Partitions in memory."""

    def __init__(
        self,
        inputs: dict[str, Lines],
        plans: dict[str, Plan],
        clock_delay_us: int = 0,
        controls: Sequence[str] = (),
    ) -> None:
        """`controls`: those of the inputs that have no part in the clock, as the topic of controls has none."""
        self.origins = sorted(set(inputs) - set(controls))
        self.inputs = Inputs(self.origins, controls, not controls, clock_delay_us if controls else 0)
        self._controls = list(controls)
        self._clock_delay_us = clock_delay_us
        self._inputs, self._plans = inputs, plans

    def list_parts(self) -> list[str]:
        return [*self.origins, *self._controls]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Partition:
        plan = self._plans.get(for_part, Plan())
        is_control = for_part in self._controls
        return _Partition(
            -1 - self._controls.index(for_part) if is_control else self.origins.index(for_part),
            for_part,
            self._inputs[for_part],
            plan,
            self._clock_delay_us,
            resume_state,
        )


class _Collect(StatefulSinkPartition[Any, None]):
    def __init__(self, take: Any) -> None:
        self._take = take

    def write_batch(self, items: list[Any]) -> None:
        for item in items:
            self._take(item)

    def snapshot(self) -> None:
        return None


class CollectSink(FixedPartitionedSink[Any, None]):
    """Hands every item to a function."""

    def __init__(self, take: Any) -> None:
        self._take = take

    def list_parts(self) -> list[str]:
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Collect:
        return _Collect(self._take)


@dataclass
class World:
    """What came out: tables by identity, messages by id, dead letters by position."""

    tables: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]] = field(
        default_factory=lambda: {name: {} for name in TABLES}
    )
    messages: dict[str, bytes] = field(default_factory=dict)
    dead_letters: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def take_records(self, records: Any) -> None:
        for name, prefixes in records.deletes.items():
            for prefix in prefixes:
                for key in [key for key in self.tables[name] if key[: len(prefix)] == prefix]:
                    del self.tables[name][key]
        for name, rows in records.rows.items():
            self.tables[name] |= {TABLES[name].key_of(row): hashable(astuple(row)) for row in rows}

    def take_message(self, message: Any) -> None:
        self.messages[message.id] = message.payload

    def take_dead_letter(self, letter: Any) -> None:
        self.dead_letters[letter.topic, letter.offset] = letter.original

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table as dictionaries."""
        return [dict(zip(TABLES[table].names, row, strict=True)) for row in self.tables[table].values()]


def hashable(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row whose lists are tuples."""
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def flow_of(
    inputs: dict[str, Lines],
    world: World,
    plans: dict[str, Plan] | None = None,
    controls: Sequence[str] = (),
    store: Path | None = None,
    tables: FixedPartitionedSink[Any, Any] | None = None,
    **settings: Any,
) -> Dataflow:
    """The flow over these inputs, into this world; `projects` among the settings: the organization of each. `tables`:
    where records go instead."""
    projects: dict[int, int] = settings.pop("projects", {})
    chosen = Settings(source="demo", **{"key_groups": 8, "sample_new_monitors": False} | settings)
    source = MemorySource(inputs, plans or {}, chosen.clock_delay_us, controls)
    return build(
        chosen,
        Endpoints(
            {"memory": source},
            source.inputs,
            projects,
            tables or CollectSink(world.take_records),
            CollectSink(world.take_message),
            CollectSink(world.take_dead_letter),
        ),
        store,
    )


def run(
    inputs: dict[str, Lines] | Lines,
    plans: dict[str, Plan] | None = None,
    *,
    workers: int = 1,
    world: World | None = None,
    recovery: RecoveryConfig | None = None,
    epoch_interval: timedelta = timedelta(0),
    controls: Sequence[str] = (),
    **settings: Any,
) -> World:
    """Run the flow to its end (or to a plan's crash), an epoch a batch, and say what came out."""
    world = World() if world is None else world
    named = inputs if isinstance(inputs, dict) else {"checkins.jsonl": inputs}
    store = Path(recovery.db_dir) if recovery is not None else None
    flow = flow_of(named, world, plans, controls, store, **settings)
    if workers == 1:
        run_main(flow, recovery_config=recovery, epoch_interval=epoch_interval)
    else:
        cluster_main(
            flow,
            [],
            0,
            worker_count_per_proc=workers,
            recovery_config=recovery,
            epoch_interval=epoch_interval,
        )
    return world


def run_until_crash(*arguments: Any, **options: Any) -> None:
    """Run a flow whose plan may crash it; anything else that goes wrong is raised."""
    try:
        run(*arguments, **options)
    except (Stopped, RuntimeError) as error:
        if not any(isinstance(each, Stopped) for each in (error, error.__cause__, error.__context__)):
            raise
