"""Tables made again from the inputs, up to where a recovery store stands: for a data folder that was lost or is older.

A replay gives the same rows. So the flow reads its inputs from their beginning once more, into a folder of its own,
without sending anything, and ends where the store would let it go on. The store is only read. Then the new tables take
the place of the others, with the marks that store and snapshot know.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.testing import run_main

from dataflow.connectors.background_writer import DeferredSink
from dataflow.connectors.demo_source import DEMO_PROJECTS, STORIES, DemoSource
from dataflow.connectors.duckdb_sink import TablesSink, work_off, write_records
from dataflow.connectors.intake_log import FOLDER as INTAKE
from dataflow.connectors.intake_log import LogError, partition_name, segments_of
from dataflow.connectors.intake_source import TOPIC as INTAKE_TOPIC
from dataflow.connectors.intake_source import IntakeSource
from dataflow.connectors.jsonl_source import FileSource, SourceError
from dataflow.connectors.kafka_source import KafkaSource
from dataflow.connectors.progress import Progress
from dataflow.connectors.unwritten_records import Left, decoded
from dataflow.connectors.up_to import UpToSource
from dataflow.endpoints import Endpoints
from dataflow.flow import FLOW_ID, build
from dataflow.monitors.decisions import ALL_NORMAL
from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_MINUTE, NO_TIME
from dataflow.process.exit import LastingError, StartError
from dataflow.process.preflight import check_recovery_store
from dataflow.process.stopping import stopping
from dataflow.process.stored_states import States, read_states
from dataflow.settings import Settings
from dataflow.start import tune_interpreter
from dataflow.steps.gate import Gate
from dataflow.steps.transition_state import SNAPSHOTS
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.key_groups import monitor_group, organization_group
from state.publish.remade import positions_of
from state.write.data_mark import DataMark, check_mark
from state.write.writer import StateWriter

TABLES_STEP = f"{FLOW_ID}.tables"
"""The step of a recovery store that knows the shards."""
EPOCH = timedelta(seconds=10)
"""How much is written in one transaction."""


class NotHeldError(LastingError):
    """The inputs do not hold everything any more that the tables are made of."""


class Stored(NamedTuple):
    """What the tables have to come to."""

    states: States
    left: dict[int, Left]
    """By shard, rows that may not be in its file yet."""

    @property
    def marks(self) -> dict[int, DataMark]:
        """By shard, the file that the store belongs to, as far as it says."""
        return {shard: left.mark for shard, left in self.left.items() if left.mark is not None}

    @property
    def positions(self) -> dict[str, Any]:
        """By input, where the store stands."""
        return {key: state for step in self._sources for key, state in self.states[step].items()}

    @property
    def _sources(self) -> list[str]:
        return [step for step in self.states if step.startswith("source_")]


def read_stored(store: Path, copy: Path) -> Stored:
    """What a recovery store says; `copy` is a folder that may be made for a while. Raises StartError."""
    states = read_states(store, copy, FLOW_ID, "tables", ("gate", "transition"))
    return Stored(states, {int(shard): decoded(state) for shard, state in states["tables"].items()})


def write_what_is_left(settings: Settings, stored: Stored, shards: int) -> None:
    """Write the rows that only the store holds, as the next start would. Raises StateError, and LastingError if store
    and tables are not of one moment: rows that will be written again must be where they were."""
    places = {_named(settings, key): _place(settings, state)[0] for key, state in stored.positions.items()}
    for shard in range(shards):
        writer = StateWriter.open(settings.data_dir, shard, shards, settings.key_groups)
        try:
            if (left := stored.left.get(shard)) is not None:
                if left.mark is not None:
                    check_mark(writer.path, writer.mark, left.mark, "the recovery store")
                work_off(writer, left.worked_off)
                for records in left.records:
                    write_records(writer, records)
            writer.commit()
        finally:
            writer.close()
        found = positions_of(settings.data_dir, shard)
        for place, position in places.items():
            if position > 0 and found.get(place, 0) != position:
                raise LastingError(
                    f"{place[0]}/{place[1]}: the tables are at {found.get(place, 0)}, the store at {position}: "
                    "the flow was not stopped in order; start it, and stop it with SIGTERM"
                )


def monitor_home(settings: Settings, shards: int) -> Callable[[int, str], int]:
    """In which of so many shards the rows of a monitor are written."""
    return lambda project_id, slug: monitor_group(project_id, slug, settings.key_groups) % shards


def organization_home(settings: Settings, shards: int) -> Callable[[int], int]:
    """The same of an organization."""
    return lambda organization_id: organization_group(organization_id, settings.gate_groups) % shards


def replay(settings: Settings, store: Path, stored: Stored, folder: Path) -> None:
    """Run the flow over its inputs up to where the store stands; its tables are in `folder` then.

    Raises NotHeldError, with what is missing, before anything is made. Where files turn out to be shorter than they
    were while the flow runs, that ends the process. It returns early if it is asked to stop.
    """
    tune_interpreter()
    quiet = settings.model_copy(update={"data_dir": folder, "kafka_start": "earliest"})
    source, inputs, projects = _open(settings, quiet)
    parts = {f"source_{settings.source}": source.list_parts()}
    check_recovery_store(store, FLOW_ID, settings, parts, needs_tables=False)
    _check_held(settings, stored, source)
    is_bounded = settings.source in ("file", "demo")
    has_ended = is_bounded and settings.volume_anomalies and _had_ended(stored)
    last = {key: _last(settings, stored, inputs, key, has_ended) for key in source.list_parts()}
    up_to = UpToSource(source, last, stopping, is_bounded)

    def is_at_end() -> bool:
        return not stopping() and (has_ended or (is_bounded and up_to.at_end == set(last)))

    endpoints = Endpoints(
        {settings.source: up_to},
        inputs,
        projects,
        DeferredSink(TablesSink(quiet, bounded=True, publishes=False)),
        _Nowhere(),
        _Nowhere(),
        is_at_end,
    )
    run_main(build(quiet, endpoints), epoch_interval=EPOCH)


def _open(
    settings: Settings, quiet: Settings
) -> tuple[FixedPartitionedSource[SourceBatch, Any], Inputs, dict[int, int]]:
    projects, delay_us = settings.projects(), settings.clock_delay_us
    progress = Progress.create(None, "bytes")
    source: Any
    try:
        if settings.source == "kafka":
            source = KafkaSource(quiet, stopping)
        elif settings.reads_log:
            source = IntakeSource(_log(settings), settings, projects, stopping, bounded=True)
            if settings.source == "intake":  # where nothing waits for what is nearer than that
                return source, Inputs(source.origins, source.inputs.controls, slack_us=delay_us), projects
        elif settings.source == "file":
            assert settings.checkins_path is not None
            source = FileSource(
                settings.checkins_path, settings.batch_size, stopping, progress, delay_us, projects
            )
        else:
            progress = Progress.create(None, "messages")
            story = STORIES[settings.demo_story]
            source = DemoSource(settings.batch_size, stopping, progress, delay_us, story)
            projects = {**DEMO_PROJECTS, **projects}
    except (SourceError, LogError) as error:
        raise StartError(str(error)) from None
    return source, source.inputs, projects


def _log(settings: Settings) -> Path:
    if settings.source == "intake":
        return settings.data_dir / INTAKE
    assert settings.checkins_path is not None
    return settings.checkins_path


def _check_held(settings: Settings, stored: Stored, source: Any) -> None:
    """Whether the inputs hold everything from their beginning. Raises NotHeldError: what is missing."""
    positions = stored.positions
    if settings.source == "kafka" and settings.kafka_start == "latest":
        raise NotHeldError(
            "CRONWAX_KAFKA_START is latest: where the flow began to read is not known, so it cannot be read again"
        )
    for key, position in sorted(positions.items()):
        if settings.source == "kafka":
            first = source.first_held(key, position)
            if first > 0 and position[0] > 0:
                raise NotHeldError(
                    f"{key}: the topic holds offsets from {first} on; the {first} before are gone (its retention), and "
                    "what they did to monitors with them: reading the rest would make other rows"
                )
        elif settings.reads_log and (missing := _first_segment(settings, key) - 1) > 0:
            raise NotHeldError(
                f"{key}: the first {missing} segments of the log are gone (CRONWAX_INTAKE_RETENTION_HOURS), and what "
                "they did to monitors with them: reading the rest would make other rows"
            )


def _first_segment(settings: Settings, key: str) -> int:
    topic, _, index = key.rpartition("/")
    folder = _log(settings) / (partition_name(int(index)) if topic == INTAKE_TOPIC else topic)
    return min(segments_of(folder), default=1) if folder.is_dir() else 1


def _had_ended(stored: Stored) -> bool:
    """Whether a bounded input had come to its end, after which nothing waits for what will be decided."""
    states = [SNAPSHOTS.decode(state) for state in stored.states["transition"].values()]
    return any(state.decisions is not None and state.decisions.clear_until == ALL_NORMAL for state in states)


def _last(settings: Settings, stored: Stored, inputs: Inputs, key: str, has_ended: bool) -> SourceBatch:
    """What stands at the end of an input: its position, its clock, and how far it counts as read."""
    position, clock = _place(settings, stored.positions.get(key))
    topic, index = _named(settings, key)
    is_control, format_ = key in inputs.controls, Format.LINES
    if settings.source == "kafka":
        format_ = Format.CONTROLS if is_control else Format.MSGPACK
    origin = -1 - list(inputs.controls).index(key) if is_control else list(inputs.names).index(key)
    read_us = int(FOREVER) if has_ended else _read_us(stored, key)
    return SourceBatch(origin, topic, index, format_, NO_MINUTE, [], clock, position, read_us=read_us)


def _named(settings: Settings, key: str) -> tuple[str, int]:
    """What tables call an input: topic and partition."""
    separator = "-" if settings.source == "demo" else "/"
    if settings.source == "file" and not settings.reads_log:
        return key, 0
    topic, _, index = key.rpartition(separator)
    return topic, int(index)


def _place(settings: Settings, state: Any) -> tuple[int, int]:
    """The offset that is read next, and the clock in minutes, of a source's state; 0: nothing was read."""
    if state is None:
        return 0, NO_MINUTE
    if settings.source == "kafka":
        return state[0], state[1]
    if settings.reads_log:
        return max(0, state[1]), state[2]
    if settings.source == "file":
        _, _, line, clock, tail = state
        return line + 1 + (tail > 0), clock
    return state[1] + 1, state[2]


def _read_us(stored: Stored, key: str) -> int:
    """How far the gate took an input for read: what was earlier in others has acted."""
    found = int(NO_TIME)
    for state in stored.states["gate"].values():
        if (order := Gate.CODEC.decode(state).order) is not None:
            found = max(found, order.read_us.get(key, int(NO_TIME)))
    return found


class _Nowhere(FixedPartitionedSink[Any, None]):
    """A sink that sends nothing."""

    def list_parts(self) -> list[str]:
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _NowherePartition:
        return _NowherePartition()


class _NowherePartition(StatefulSinkPartition[Any, None]):
    def write_batch(self, values: list[Any]) -> None:
        """Nothing is sent."""

    def snapshot(self) -> None:
        return None
