"""What earlier versions stored is read, resumed and written on; and comes to what it came to then."""

from __future__ import annotations

import json
import pickletools
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec
import pytest
from bytewax.outputs import FixedPartitionedSink

from dataflow.connectors.background_writer import DeferredSink, EpochPartition
from dataflow.steps.kept_blocks import STEP
from dataflow.steps.snapshot_blocks import Saved
from state.publish.snapshot import open_snapshot
from state.schema.catalogue import SCHEMA_VERSION, TABLES
from state.schema.database import shard_path
from state.schema.table import Row
from state.schema.tables.monitors import MonitorStatusRow, MuteRow
from state.schema.tables.volume import ClockTickRow
from state.write.writer import StateWriter
from tests.examples import IS_FULL
from tests.golden.contents import structures_in
from tests.golden.sets import (
    FOLDER,
    UNWRITTEN,
    GoldenSet,
    described,
    latest_snapshots,
    pickled_states,
    rows_of,
    stored_states,
    tables_of,
)
from tests.golden.structures import STORED, describe
from tests.golden.wording import in_todays_words
from tests.processes import Ended, Outcome, assert_same, outcome, run_warm, settings
from tests.state.state_rows import START_US, check_in, environment, monitor, row

NEWEST = "v7"
"""The set of the version that is written now."""
SETS = {folder.parent.name: GoldenSet(folder.parent) for folder in sorted(FOLDER.glob("*/set.json"))}
EACH_STOPPED = [
    (name, int(shards)) for name, each in SETS.items() for shards in each.facts["stopped_behind_line"]
]
STOPPED = [
    (name, shards)
    for name, shards in EACH_STOPPED
    if IS_FULL
    or name == NEWEST
    or len(SETS[name].facts["stopped_behind_line"]) == 1
    or shards % 2 == int(name[1:]) % 2
]
"""What is tried: every set, and of the older ones, unless all is tried, one and two shards in turn."""
BEFORE = "v3"
"""An earlier one: of what passes the gate and waits for a tick then, it holds some."""
KEPT = {"check_ins": "check_in_id", "incidents": "incident_id", "status_changes": "message_id"}
"""Tables whose rows stay, and what identifies one; but for those of monitors that the rest of the input deletes."""
DELETED = "slug IS DISTINCT FROM 'b-deleted' AND slug IS DISTINCT FROM 'seat-1'"
NAMED_OTHERWISE = {"incident_details": ("told_at", "told_after_seconds")}
"""Columns of views that have another name now. (Those of tables keep theirs.)"""
NEVER_AT_A_STOP = {
    "Saved": {"names"},  # of counts: a minute has too few here for a block of its own
    "SampleState": {"kept"},  # too little waits here for one
    "CheckIn": {"problem"},  # of what the gate let in
    "MonitorChanged": {"organization_id", "owner"},  # what waits, now, waits before it is one
    "Control": {
        "status",
        "seats",
        "name",
        "config",
        "silence",
        "silence_id",
        "incident_id",
        "who",
        "note",
    },  # a rule, a mute and a delete wait
    "Environment": {"records", "sdk"},  # kinds of alarms to come; the input names no SDK
    "EnvironmentReset": {  # the input has no reset that waits for a tick
        "project_id",
        "slug",
        "environment",
        "at_us",
        "clock_minute",
        "source",
        "reached_minute",
    },
    "IncidentAcknowledged": {  # as of resets
        "project_id",
        "slug",
        "environment",
        "at_us",
        "clock_minute",
        "source",
        "reached_minute",
        "control",
    },
    "Held": {"counts"},
    "OrganizationState": {"monitors"},  # of version 1
    "PackedRecords": {"shard", "rows", "sent_at", "deletes", "worked_off"},  # of a flow that broke off
    "Rule": {"is_active"},
    "SinkSnapshot": {"version", "ends", "expected"},  # with Kafka
    "SystemIncident": {"end_minute", "ended_tick"},
    "TickEvent": {
        "tick",
        "decision",
        "settled_until",
        "verdict",
        "incident_start",
    },  # of a key group that lags
    "TransitionState": {"events", "begun"},  # only what meets more than one call takes is begun
}
"""Fields that the newest sets hold nothing of, each as far as its default goes."""


@dataclass(frozen=True)
class Resumed:
    """A set that today's flow has resumed and read to the end of its input."""

    place: Path
    ended: Ended
    before: dict[str, set[object]]
    """What the published tables of KEPT held when the flow was stopped."""
    outcome: Outcome


@cache
def kept_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="cronwax-golden-")


@cache
def resumed(name: str, shards: int) -> Resumed:
    place = SETS[name].unpack(shards, Path(kept_folder().name) / f"{name}-{shards}")
    before = kept(place)
    chosen = settings(**SETS[name].settings(place, shards))
    ended = run_warm(chosen, "-r", place / "store", "-s", 0, "-b", 0)
    assert ended.status == 0, ended.err
    return Resumed(place, ended, before, outcome(place / "data"))


def kept(place: Path) -> dict[str, set[object]]:
    with open_snapshot(place / "data") as connection:
        queries = {name: f"SELECT {identity} FROM {name} WHERE {DELETED}" for name, identity in KEPT.items()}
        return {
            name: {key for (key,) in connection.execute(query).fetchall()} for name, query in queries.items()
        }


def test_every_set_is_tried():
    assert {name for name, _ in STOPPED} == set(SETS)


@pytest.mark.parametrize(("name", "shards"), STOPPED)
def test_a_published_snapshot_is_read(name, shards, tmp_path):
    place = SETS[name].unpack(shards, tmp_path)
    counts = json.loads((SETS[name].folder / f"stopped-{shards}.json").read_text(encoding="utf-8"))
    with open_snapshot(place / "data") as connection:
        for table, count in counts.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,), table


@pytest.mark.parametrize(("name", "shards"), STOPPED)
def test_a_store_names_no_module_and_no_step_that_is_unknown(name, shards, tmp_path):
    store = SETS[name].unpack(shards, tmp_path) / "store"
    states = pickled_states(store)
    named = {op.name for *_, state in states for op, *_ in pickletools.genops(state)}
    # A class, a function or an object: the module that it is in could never move again.
    assert not {op for op in named if "GLOBAL" in op or "INST" in op or "OBJ" in op or op == "REDUCE"}
    lines = {"occurrences", "dead_letters"}
    assert {step for step, *_ in states} <= lines | {STEP} | STORED.keys()
    assert {type(state) for step in lines for state in stored_states(store)[step].values()} == {int}


@pytest.mark.parametrize(("name", "shards"), STOPPED)
def test_a_store_is_resumed_and_nothing_is_lost(name, shards):
    found = resumed(name, shards)
    assert found.ended.complaints == []
    after = kept(found.place)
    for table, identities in found.before.items():
        assert identities
        assert identities <= after[table], table
        assert len(after[table]) > len(identities), table
    with open_snapshot(found.place / "data") as connection:
        read = dict(connection.execute("SELECT topic, position FROM partitions").fetchall())
        assert connection.execute("SELECT version FROM schema_info").fetchone() == (SCHEMA_VERSION,)
    lines = {path.name: path.read_bytes().count(b"\n") for path in (found.place / "input").iterdir()}
    assert read == {file: count + 1 for file, count in lines.items()}
    messages = {json.loads(line)["id"] for line in found.outcome.occurrences}
    assert len(messages) == len(found.outcome.tables["status_changes"])
    versions = {step: version for step, (version, _) in latest_snapshots(found.place / "store").items()}
    assert versions == {step: STORED[step][0] for step in versions}


COUNTED_OTHERWISE = {"v3": {"run_decisions": 1}}
"""By set, last columns of tables that were counted in another way then: a result that waited had a `place` of its own,
and one more when it was decided."""


@pytest.mark.parametrize(
    ("name", "shards"), [each for each in STOPPED if (SETS[each[0]].folder / "outcome").exists()]
)
def test_what_was_stopped_comes_to_what_it_came_to_then(name, shards):
    """Of rules that are changed on purpose this is the only test to follow: `make outcome NAME`, and say why.

    A table that a later version added has no rows from before the stop, and a column no values: columns that came later
    are left out.
    """
    expected = in_todays_words(SETS[name].outcome())
    found = in_todays_words(described(resumed(name, shards).outcome))
    schema = SETS[name].facts["schema"]
    for table, rows in found.tables.items():
        later = sum(column.since.version > schema for column in TABLES[table].columns)
        found.tables[table] = sorted(_without_last(row, later) for row in rows)
    for table, columns in COUNTED_OTHERWISE.get(name, {}).items():
        for each in (found, expected):
            each.tables[table] = sorted(_without_last(row, columns) for row in each.tables[table])
    for table in [each for each in TABLES if TABLES[each].since > schema]:
        new = set(found.tables.pop(table))
        if table in expected.tables:
            assert new < set(expected.tables.pop(table))
    assert_same(found, expected)


def _without_last(row: str, columns: int) -> str:
    """A row without its last columns, whose values hold no comma; a table's own columns are of one version."""
    return row if not columns or row[0] != "(" else row.rsplit(", ", columns)[0] + ")"


@pytest.mark.parametrize(("name", "shards"), STOPPED)
def test_a_writers_file_is_upgraded_and_written_on(name, shards, tmp_path):
    data = SETS[name].unpack(shards, tmp_path) / "data"
    for shard in range(shards):
        with duckdb.connect(str(shard_path(data, shard)), read_only=True) as connection:
            columns = tables_of(connection)
            columns.pop("snapshot_age", None)  # of the moment at which it is asked
            for view, gone in NAMED_OTHERWISE.items():
                columns[view] = [name for name in columns.get(view, ()) if name not in gone]
            before = {table: rows_of(connection, table, names) for table, names in columns.items() if names}
            [(version,)] = connection.execute("SELECT version FROM schema_info").fetchall()
        assert version == SETS[name].facts["schema"]
        assert len(before["check_ins"]) > 10
        # What a later version added is there, and says what holds of rows from before.
        disabled = sum("'disabled'" in each for each in before["monitors"]) if version < 3 else 0
        writer = StateWriter.open(data, shard, shards)
        connection = writer.connection
        assert connection.execute("SELECT version FROM schema_info").fetchone() == (SCHEMA_VERSION,)
        for table, rows in before.items():
            assert rows_of(connection, table, columns[table]) == rows, table
        if version < 3:
            history = connection.execute(
                "SELECT count(*), any_value(status) FROM monitor_status_history"
            ).fetchone()
            assert history == (disabled, "disabled")
            flapping = connection.execute("SELECT DISTINCT is_flapping FROM monitor_environments").fetchall()
            assert flapping == [(False,)]
        there = tables_of(connection)
        for table, layout in TABLES.items():
            assert sorted(there[table]) == sorted(layout.names), table
        new: dict[str, list[Row]] = {
            "monitors": [monitor(99)],
            "monitor_environments": [environment(99)],
            "check_ins": [check_in(2**70, project=99)],
            "mute_history": [row(MuteRow, 99, "backup", "production", START_US, True, True)],
            "monitor_status_history": [row(MonitorStatusRow, 99, "backup", START_US, "disabled")],
            "clock_ticks": [row(ClockTickRow, START_US - 60_000_000, 5, None, None, "normal", START_US)],
        }
        writer.write(new)
        writer.commit()
        writer.close()
        with duckdb.connect(str(shard_path(data, shard)), read_only=True) as connection:
            for table in new:
                known = disabled if table not in before and "status" in table else len(before.get(table, ()))
                assert len(rows_of(connection, table, there[table])) == known + 1, table


class Collect(FixedPartitionedSink, EpochPartition):
    """A sink, and its only partition, that keeps the records it is given."""

    def __init__(self):
        self.records = []

    def list_parts(self):
        return ["0"]

    def build_part(self, step_id, for_part, resume_state):
        return self

    def write_batch(self, items):
        self.records += items

    def end_epoch(self, ended_at):
        return None


@pytest.mark.parametrize("name", [name for name in SETS if (SETS[name].folder / UNWRITTEN).exists()])
def test_records_that_a_flow_broke_off_over_are_written(name, tmp_path):
    stored = (SETS[name].folder / UNWRITTEN).read_bytes()
    sink = Collect()
    DeferredSink(sink).build_part("tables", "0", stored)
    seen = set()
    writer = StateWriter.open(tmp_path)
    for records in sink.records:
        assert all(type(each) is TABLES[table].row for table, rows in records.rows.items() for each in rows)
        seen |= records.rows.keys()
        writer.write(records.rows, records.deletes)
    assert writer.commit()
    there = {table for table in TABLES if writer.connection.execute(f"FROM {table}").fetchone()}
    writer.close()
    # What was deleted again, of the few records that are kept, is not there.
    assert {"monitors", "check_ins", "clock_ticks", "processing_errors", "sampling_rules"} <= there <= seen


def test_the_newest_set_is_of_the_versions_that_are_written_now():
    facts = SETS[NEWEST].facts
    assert facts["schema"] == SCHEMA_VERSION, "make a new set: tests/golden/README.md"
    now = {step: STORED[step][0] for step in facts["snapshots"]}
    assert facts["snapshots"] == now, "make a new set: tests/golden/README.md"


def test_the_newest_sets_hold_something_in_every_field(tmp_path):
    filled: dict[str, set[str]] = {}
    for name, shards in product((NEWEST, BEFORE), (1, 2)):
        store = SETS[name].unpack(shards, tmp_path / f"{name}-{shards}") / "store"
        for step, (_, snapshots) in latest_snapshots(store).items():
            for snapshot in snapshots.values():
                for each in structures_in(step, snapshot):
                    filled.setdefault(type(each).__name__, set()).update(filled_fields(each))
    for name, structure in describe()["structures"].items():
        fields = {field.partition(":")[0] for field in structure["fields"]}
        empty = fields - filled.get(name, set())
        assert empty <= NEVER_AT_A_STOP.get(name, set()), f"{name}: {empty}"


def filled_fields(each):
    """The fields that hold something else than their default."""
    if isinstance(each, Saved):
        return {name for name, value in each._asdict().items() if value}
    defaults = {
        field.name: field.default if field.default is not msgspec.NODEFAULT else default_of(field)
        for field in msgspec.structs.fields(each)
    }
    return {name for name, default in defaults.items() if getattr(each, name) != default}


def default_of(field):
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else msgspec.NODEFAULT
