"""The whole graph on one page: sources -> decode -> gate -> upsert -> transition -> sinks; sample and volume hang off
gate, and what volume decides about the ticks goes to transition."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream
from bytewax.outputs import FixedPartitionedSink, Sink

from dataflow.endpoints import Endpoints
from dataflow.monitors.organization import UNLIMITED, Limits
from dataflow.process.border import BorderSink, BorderSource
from dataflow.process.exit import at_border
from dataflow.process.finishing import Finishing, FinishingSource
from dataflow.process.recovery_store import hold_running
from dataflow.process.stored_blocks import StoredBlocks
from dataflow.settings import Settings
from dataflow.steps import kept_blocks
from dataflow.steps.decode import Decode
from dataflow.steps.epoch_work import EpochWork
from dataflow.steps.gate import Gate
from dataflow.steps.kept_blocks import KeptBlock
from dataflow.steps.sample import Sample
from dataflow.steps.transition import Transition
from dataflow.steps.upsert import Upsert
from dataflow.steps.volume import Judge
from dataflow.stream.items import BlockWrite, Chunk, DeadLetter, Message, Records, Sampled, Ticks, Volumes
from dataflow.stream.key_groups import group_keys

FLOW_ID = "cronwax"
BLOCKS = f"{FLOW_ID}.{kept_blocks.STEP}"
"""The step that keeps blocks of snapshots."""


def build(settings: Settings, endpoints: Endpoints, store: Path | None = None) -> Dataflow:
    """The dataflow between these endpoints.

    The engine's keys are key groups: the gate's of organizations, then those of monitors. Each step emits chunks for
    the next one, and records, messages and dead letters for the sinks. `store` is the recovery store, which no flow
    runs on yet; None: there is none, or all that snapshots hold stays in them. Raises StartError if it cannot be read.
    """
    limits = Limits(
        settings.max_monitors_per_organization,
        settings.monitor_seats if settings.monitor_seats is not None else UNLIMITED,
    )

    blocks = StoredBlocks(store, BLOCKS) if store is not None else None
    finishing, work = Finishing(settings.key_groups, endpoints.shared), EpochWork()

    def gate(snapshot: bytes | None) -> Gate:
        return Gate(
            settings.key_groups,
            endpoints.inputs,
            limits,
            settings.rate_limit,
            settings.sample_new_monitors,
            snapshot,
            settings.clock_delay_us,
            blocks,
        )

    def upsert(snapshot: bytes | None) -> Upsert:
        return Upsert(settings.gate_groups, settings.max_environments_per_monitor, snapshot, blocks)

    def sample(snapshot: bytes | None) -> Sample:
        return Sample(settings.base_sample_rate, endpoints.is_at_end, snapshot, blocks)

    def judge(snapshot: bytes | None) -> Judge:
        return Judge(settings.gate_groups, settings.key_groups, settings.volume_rules, snapshot)

    def transition(snapshot: bytes | None) -> Transition:
        return Transition(
            settings.volume_anomalies,
            endpoints.is_at_end,
            snapshot,
            settings.tuning,
            finishing.finished,
            work,
            blocks,
        )

    def began() -> None:
        if store is not None:
            hold_running(store)

    flow = Dataflow(FLOW_ID)
    batches = [
        op.input(f"source_{name}", flow, BorderSource(FinishingSource(source, finishing), began))
        for name, source in endpoints.sources.items()
    ]
    read = op.merge("sources", *batches) if len(batches) > 1 else batches[0]
    decode = Decode(
        endpoints.projects, settings.gate_groups, settings.clock_delay_us, endpoints.inputs.are_ordered
    )
    decoded = op.flat_map_batch("decode", read, decode)
    gated = op.key_rm(
        "gated", op.stateful_batch("gate", _chunks("to_gate", decoded, settings.gate_groups), at_border(gate))
    )
    sampled = op.key_rm(
        "sampled",
        op.stateful_batch(
            "sample", _chunks("to_sample", gated, settings.gate_groups, Sampled), at_border(sample)
        ),
    )
    upserted = op.key_rm(
        "upserted",
        op.stateful_batch("upsert", _chunks("to_upsert", gated, settings.key_groups), at_border(upsert)),
    )
    judged = op.key_rm(
        "judged", op.stateful_batch("volume", _chunks("to_volume", gated, 1, Volumes), at_border(judge))
    )
    to_transition = op.merge(
        "clocked",
        _chunks("to_transition", upserted, settings.key_groups),
        _chunks("ticks", judged, settings.key_groups, Ticks),
    )
    changed = op.key_rm("changed", op.stateful_batch("transition", to_transition, at_border(transition)))

    records = [
        _records(f"{step}_records", stream, settings.state_shards)
        for step, stream in (
            ("decode", decoded),
            ("gate", gated),
            ("sample", sampled),
            ("volume", judged),
            ("upsert", upserted),
            ("transition", changed),
        )
    ]
    kept = op.stateful_batch(
        kept_blocks.STEP,
        _kept("to_blocks", op.merge("saved", gated, sampled, upserted, changed)),
        at_border(KeptBlock),
    )
    op.output("tables", op.merge("records", *records, _nothing("kept", kept)), _sink(endpoints.tables))
    op.output(
        "occurrences",
        _only("messages", op.merge("notices", judged, changed, gated), Message),
        _sink(endpoints.occurrences),
    )
    op.output("dead_letters", _only("undecoded", decoded, DeadLetter), _sink(endpoints.dead_letters))
    return flow


def _sink(sink: Sink[Any]) -> Sink[Any]:
    """The sink behind the border; what is not a partitioned sink (of a test) keeps its errors."""
    return BorderSink(sink) if isinstance(sink, FixedPartitionedSink) else sink


def _chunks(step_id: str, stream: Stream[Any], groups: int, kind: type[Any] = Chunk) -> KeyedStream[Any]:
    """The chunks (of one kind) of a stream, keyed by the key group that each goes to."""
    keys = group_keys(groups)

    def keyed(items: list[Any]) -> list[tuple[str, Any]]:
        return [(keys[item.target], item) for item in items if type(item) is kind]

    return op.flat_map_batch(step_id, stream, keyed)


def _records(step_id: str, stream: Stream[Any], shards: int) -> KeyedStream[Records]:
    """The records of a stream, keyed by state shard. With several, all of them get the inputs' positions, and how far
    key groups have worked off."""

    def keyed(items: list[Any]) -> list[tuple[str, Records]]:
        return [(str(item.shard % shards), item) for item in items if type(item) is Records]

    def keyed_with_positions(items: list[Any]) -> list[tuple[str, Records]]:
        out = keyed(items)
        now = time.time()
        worked_off: dict[int, int] = {}
        for _, item in list(out):
            worked_off |= item.worked_off
            if positions := item.rows.get("partitions"):
                everyone = Records(0, {"partitions": positions}, now)
                out += [(str(shard), everyone) for shard in range(shards)]
        if worked_off:
            everyone = Records(0, {}, now, worked_off=worked_off)
            out += [(str(shard), everyone) for shard in range(shards)]
        return out

    return op.flat_map_batch(step_id, stream, keyed if shards == 1 else keyed_with_positions)


def _kept(step_id: str, stream: Stream[Any]) -> KeyedStream[BlockWrite]:
    """The blocks of a stream, by their keys."""

    def keyed(items: list[Any]) -> list[tuple[str, BlockWrite]]:
        return [(item.key, item) for item in items if type(item) is BlockWrite]

    return op.flat_map_batch(step_id, stream, keyed)


def _nothing(step_id: str, stream: Stream[Any]) -> KeyedStream[Any]:
    """Nothing of a stream that has no sink of its own: the engine wants each step to lead to one."""

    def nothing(_: list[Any]) -> list[tuple[str, Any]]:
        return []

    return op.flat_map_batch(step_id, stream, nothing)


def _only(step_id: str, stream: Stream[Any], kind: type[Any]) -> KeyedStream[Any]:
    """The items of one kind, for a sink of one partition."""

    def keyed(items: list[Any]) -> list[tuple[str, Any]]:
        return [("0", item) for item in items if type(item) is kind]

    return op.flat_map_batch(step_id, stream, keyed)
