"""Snapshots of earlier releases are read; those of later ones, and broken ones, end the flow with one line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import zstandard

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.environment import ENVIRONMENT_STATUS_NAMES
from dataflow.monitors.organization import UNLIMITED, Limits
from dataflow.monitors.schedule import LAST_MINUTE
from dataflow.monitors.times import NO_TIME
from dataflow.process.exit import LastingError
from dataflow.steps.decode import Decode
from dataflow.steps.gate import Gate
from dataflow.steps.transition import Transition
from dataflow.steps.transition_state import BLOCK, SNAPSHOTS
from dataflow.steps.upsert import Upsert
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import Chunk, Records, Ticks
from dataflow.wire.timestamps import read_ts
from state.publish.snapshot import open_snapshot
from state.schema.catalogue import rows_of
from state.schema.tables.runs import CheckInRow
from tests.builders import START_S, as_line, check_in
from tests.golden.contents import entries_of, state_of
from tests.golden.sets import FOLDER, GoldenSet, latest_snapshots
from tests.golden.stream import FIRST, SECOND

HOURLY = {"schedule": {"type": "crontab", "value": "0 * * * *"}}


def gate_of(snapshot=None):
    return Gate(1, Inputs(["input"]), Limits(100, UNLIMITED), 6, False, snapshot)


def upsert_of(snapshot=None):
    return Upsert(1, 10, snapshot)


def transition_of(snapshot=None):
    return Transition(False, lambda: False, snapshot)


def fed():
    """The three steps after two check-ins of monitors of their own."""
    lines = [as_line(check_in(60 * n, slug, "error", n, config=HOURLY)) for n, slug in enumerate("ab", 1)]
    messages = [(n, read_ts(line), line) for n, line in enumerate(lines)]
    batch = SourceBatch(0, "input", 0, Format.LINES, NO_MINUTE, messages, START_S // 60 + 2, 2, True)
    gate, upsert, transition = gate_of(), upsert_of(), transition_of()
    chunks = [out for out in Decode({}, 1)([batch]) if isinstance(out, Chunk)]
    for step in (gate, upsert, transition):
        chunks = [out for out in step.apply(chunks) if isinstance(out, Chunk)]
    return gate, upsert, transition


def decompressed(block):
    return zstandard.ZstdDecompressor().decompress(block)


def encoded(version, state):
    return msgspec.msgpack.encode((version, state))


GOLDEN: dict[str, Any] = {
    "gate": lambda snapshot: Gate(16, Inputs([FIRST, SECOND]), Limits(10_000, UNLIMITED), 6, True, snapshot),
    "upsert": lambda snapshot: Upsert(2, 1_000, snapshot),
    "transition": lambda snapshot: Transition(False, lambda: False, snapshot),
}
"""The steps as the golden sets' settings have them."""


def taken_again(step, snapshot):
    """The entries that a step has after reading a snapshot: those of the snapshot that it takes then."""
    again = GOLDEN[step](snapshot).snapshot()
    entries = entries_of(step, state_of(step, again))
    once_more = GOLDEN[step](again).snapshot()
    assert sorted(map(repr, entries_of(step, state_of(step, once_more)))) == sorted(map(repr, entries))
    return entries


@pytest.mark.parametrize("name", ["duckdb-v1", "duckdb-v2", "snapshots-v2", "v1"])
def test_snapshots_of_earlier_versions_hold_what_their_tables_say(name, tmp_path):
    """As the releases wrote them: gate and upsert in version 1, transition in 1 and 2, and all as they are now."""
    place = GoldenSet(FOLDER / name).unpack(1, tmp_path)
    found = {
        step: [entry for each in snapshots.values() for entry in taken_again(step, each)]
        for step, (_, snapshots) in latest_snapshots(place / "store").items()
        if step in GOLDEN
    }
    with open_snapshot(place / "data") as tables:
        configs = {
            tuple(row[:2]): row[2:]
            for row in tables.execute(
                "SELECT project_id, slug, schedule_type, schedule, timezone, checkin_margin, max_runtime,"
                " failure_issue_threshold, recovery_threshold, name, status = 'disabled', is_muted, owner,"
                " epoch_us(created_at) FROM monitors"
            ).fetchall()
        }
        environments = tables.execute(
            "SELECT project_id, slug, environment, status, is_muted, open_incident_id, epoch_us(last_checkin)"
            " FROM monitor_environments"
        ).fetchall()
    assert {entry[1:3]: config_row(entry[4]) for entry in found["gate"]} == {
        key: row[:7] for key, row in configs.items()
    }
    assert {
        (each.project_id, each.slug): (
            *config_row(each.config),
            each.name,
            each.is_disabled,
            each.is_muted,
            each.owner,
            each.created_us,
        )
        for each in found["upsert"]
    } == configs
    assert len(found["upsert"]) > 40
    assert {shown(each, one) for each in found["transition"] for one in each.environments.values()} == set(
        environments
    )


def config_row(config):
    """As the table of monitors has it."""
    return (
        config.schedule_type,
        config.schedule,
        config.zone,
        config.checkin_margin,
        config.max_runtime,
        config.failure_issue_threshold,
        config.recovery_threshold,
    )


def shown(monitor, environment):
    """A row about an environment."""
    incident = environment.incident
    return (
        monitor.project_id,
        monitor.slug,
        environment.name,
        ENVIRONMENT_STATUS_NAMES[environment.status],
        environment.is_muted,
        incident.id if incident is not None else None,
        environment.last_checkin_us if environment.last_checkin_us != NO_TIME else None,
    )


@pytest.mark.parametrize(
    "config",
    [
        MonitorConfig("crontab", "0 * * * *", "US/Pacific-New"),
        MonitorConfig("crontab", "0 0 ? * *"),
        MonitorConfig("fortnightly", "1"),
    ],
)
def test_a_schedule_that_is_accepted_no_more_ends_nothing(config, caplog):
    """A zone may leave the zone data, and a later release may refuse an expression."""
    state = fed()[2].state()
    layout = msgspec.msgpack.Decoder(BLOCK)
    saved = [entry for block in state.blocks for entry in layout.decode(decompressed(block))[1]]
    broken, sound = (msgspec.structs.replace(entry, config=config) for entry in saved)
    sound.config = saved[1].config
    snapshot = SNAPSHOTS.encode(msgspec.structs.replace(state, monitors=[broken, sound], blocks=[]))
    step = transition_of(snapshot)
    assert [record.getMessage() for record in caplog.records if broken.slug in record.getMessage()]
    assert len(caplog.records) == 1
    later = START_S // 60 + 10_000
    ticks: list[Any] = [Ticks(0, [], later, later), Chunk(0, 0, [], later)]
    records = [out for out in step.apply(ticks) if isinstance(out, Records)]
    rows = [row for out in records for row in rows_of(out.rows, CheckInRow) if row.status == "missed"]
    assert {row.slug for row in rows} == {sound.slug}
    line = as_line(check_in(60, broken.slug, "ok", 7, config=HOURLY))
    batch = SourceBatch(0, "input", 0, Format.LINES, NO_MINUTE, [(9, read_ts(line), line)], later, 2)
    chunks = [out for out in Decode({}, 1)([batch]) if isinstance(out, Chunk)]
    gate = gate_of()
    for each in (gate, upsert_of()):
        chunks = [out for out in each.apply(chunks) if isinstance(out, Chunk)]
    step.apply(chunks)
    (healed,) = [monitor for monitor in step.group.monitors.values() if monitor.slug == broken.slug]
    assert healed.config.schedule == "0 * * * *"
    assert healed.environments()[0].next_minute < LAST_MINUTE


@pytest.mark.parametrize("build", [gate_of, upsert_of, transition_of])
def test_a_snapshot_of_a_later_release_ends_the_flow(build):
    with pytest.raises(LastingError, match="in version 99"):
        build(encoded(99, []))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_block_that_cannot_be_read_ends_the_flow(place):
    version, state = msgspec.msgpack.decode([step.snapshot() for step in fed()][place])
    blocks = next(each for each in reversed(state) if isinstance(each, list) and each)
    assert isinstance(blocks[0], bytes)
    blocks[0] = blocks[0][:-2]
    with pytest.raises(LastingError, match="cannot be read"):
        (gate_of, upsert_of, transition_of)[place](encoded(version, state))
