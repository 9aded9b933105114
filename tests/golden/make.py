"""Make a golden set, by one command each, in the project's folder:

    .venv/bin/python -m tests.golden.make set v2
        a new set, from the code as it is: what a flow leaves that is stopped in the middle of the fixed input of
        stream.py, with one state shard and with two, and what comes of the whole input undisturbed
    .venv/bin/python -m tests.golden.make outcome v1
        the outcome of a set again, and nothing else, from the code as it is: for a rule that was changed on purpose
    .venv/bin/python -m tests.golden.make structures
        structures.json again: for fields that were appended on purpose

README.md says when which is right. `--code FOLDER` lets the code of another folder make the set, with this
environment's packages: that is how the sets of older versions were made, of a worktree of their commit.
`--without-outcome` keeps no outcome: for code with other rules than today's; `--shards 1` leaves out what code
cannot do that knows one shard only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from state.schema.catalogue import TABLES
from tests.golden import stream, structures
from tests.golden.sets import (
    FOLDER,
    OUTPUTS,
    SHARDS,
    UNWRITTEN,
    GoldenSet,
    described,
    latest_snapshots,
    lines_of,
    pack,
    rows_of,
    shrink,
    tables_of,
    write_outcome,
)
from tests.processes import PROJECT, Outcome, assert_same, settings, write_jsonl

SNAPSHOT = "monitors.duckdb"
# Lets the source end, as a signal does, behind a line of the first file: nothing but that is not the flow's own.
_STOPPING_RUN = """
import os, runpy, signal, sys
try:
    from dataflow.connectors.jsonl_source import FilePartition
except ImportError:  # before 0.1.0 it was called so
    from dataflow.connectors.files import FilePartition
name, lines = sys.argv[1], int(sys.argv[2])
next_batch = FilePartition.next_batch
def stop_behind(partition):
    batches = next_batch(partition)
    if any(batch.topic == name and batch.position > lines for batch in batches):
        os.kill(os.getpid(), signal.SIGTERM)
    return batches
FilePartition.next_batch = stop_behind
sys.argv = ["bytewax.run", *sys.argv[3:]]
runpy.run_module("bytewax.run", run_name="__main__")
"""

# Keeps records as a snapshot holds them that were not written when the flow broke off: for each table the first ones.
_RECORDING_RUN = """
import runpy, sys
from collections import Counter
from dataflow.connectors import background_writer, unwritten_records
path = sys.argv[1]
seen, kept = Counter(), unwritten_records.Encoded()
write_batch = background_writer.DeferredPartition.write_batch
def record(partition, records):
    for each in records:
        changes = [*each.rows.items(), *(("no " + table, rows) for table, rows in each.deletes.items())]
        if any(seen[table] < 2 and len(rows) < 100 for table, rows in changes):
            seen.update(table for table, _ in changes)
            kept.add([each])
    write_batch(partition, records)
def save():
    kept.finish()
    with open(path, "wb") as file:
        file.write(unwritten_records.encoded_blocks(kept.blocks, None, {}))
background_writer.DeferredPartition.write_batch = record
background_writer.DeferredPartition.close = lambda partition, close=background_writer.DeferredPartition.close: (
    save(), close(partition))
sys.argv = ["bytewax.run", *sys.argv[2:]]
runpy.run_module("bytewax.run", run_name="__main__")
"""


def main(words: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("set", "outcome"):
        each = commands.add_parser(command)
        each.add_argument("name")
        each.add_argument("--code", type=Path, default=PROJECT)
    commands.choices["set"].add_argument("--shards", type=int, nargs="+", default=SHARDS)
    commands.choices["set"].add_argument("--without-outcome", action="store_true")
    commands.add_parser("structures")
    arguments = parser.parse_args(words)
    if arguments.command == "structures":
        structures.write()
        return 0
    made = GoldenSet(FOLDER / arguments.name)
    code = arguments.code.resolve()
    if arguments.command == "set":
        make_set(made, code, arguments.shards, not arguments.without_outcome)
    else:
        write_outcome(undisturbed(made, code), made.folder / "outcome")
    return 0


def make_set(made: GoldenSet, code: Path, shard_counts: Sequence[int], keeps_outcome: bool) -> None:
    """Write a whole set, once it is sure that what was stopped comes to the same end as what was not."""
    files, stops = stream.stream()
    made.folder.mkdir()
    for name, content in files.items():
        write_jsonl(made.folder / "input" / name, content)
    (made.folder / "projects.json").write_text(json.dumps(stream.PROJECTS) + "\n", encoding="utf-8")
    facts: dict[str, Any] = {
        "settings": stream.SETTINGS,
        "stopped_behind_line": {str(shards): stops[shards] for shards in shard_counts},
    }
    write_facts(made, facts | {"commit": commit_of(code)})
    expected = undisturbed(made, code)
    if keeps_outcome:
        write_outcome(expected, made.folder / "outcome")
    for shards in shard_counts:
        with place_for(made) as place:
            stop(made, code, place, shards)
            facts |= facts_of(place)
            shrink(place / "store")
            pack([place / "data", place / "store"], made.folder / f"stopped-{shards}.tar.zst")
            write_rows(made, place, shards)
            run(code, made.settings(place, shards), *FLOW, *options(place))
            assert_same(outcome_of(place), expected)
    write_facts(made, {"commit": commit_of(code), **facts})
    if keeps_outcome:
        record_unwritten(made, code)


FLOW = ("-m", "bytewax.run", "dataflow:flow")


def options(place: Path) -> tuple[str, ...]:
    """The engine's, of a run on the set's recovery store: an epoch and a backup a batch."""
    return ("-r", str(place / "store"), "-s", "0", "-b", "0")


def stop(made: GoldenSet, code: Path, place: Path, shards: int) -> None:
    """Run the flow until its first file has been read to the line, and let it end there in order."""
    (place / "store").mkdir()
    make_store = "import sys; from bytewax.recovery import init_db_dir; init_db_dir(sys.argv[1], 1)"
    run(code, {}, "-c", make_store, str(place / "store"))
    words = (
        stream.FIRST,
        str(made.facts["stopped_behind_line"][str(shards)]),
        "dataflow:flow",
        *options(place),
    )
    run(code, made.settings(place, shards, batch_size=stream.BATCH), "-c", _STOPPING_RUN, *words)


def undisturbed(made: GoldenSet, code: Path) -> Outcome:
    """What the code makes of the set's input, from the beginning to the end."""
    with place_for(made) as place:
        run(code, made.settings(place, 1), *FLOW)
        return outcome_of(place)


def outcome_of(place: Path) -> Outcome:
    """What a run has left: with the columns that the tables have in its release."""
    data = place / "data"
    with duckdb.connect(str(data / SNAPSHOT), read_only=True) as connection:
        tables = {}
        for name, columns in tables_of(connection).items():
            if name in TABLES:
                # A release that published several shards named the columns of tables with history twice.
                known = TABLES[name].names
                columns = [column for column in columns if column in known]
                tables[name] = rows_of(connection, name, columns)
    return described(Outcome(tables, *(lines_of(data / name) for name in OUTPUTS)))


def record_unwritten(made: GoldenSet, code: Path) -> None:
    """Write what the sink of the tables stores of a flow that breaks off."""
    with place_for(made) as place:
        words = (str(made.folder / UNWRITTEN), "dataflow:flow")
        run(code, made.settings(place, 1, batch_size=stream.BATCH), "-c", _RECORDING_RUN, *words)


@contextmanager
def place_for(made: GoldenSet) -> Iterator[Path]:
    """A folder with the set's input in it."""
    with TemporaryDirectory(prefix="cronwax-golden-") as name:
        place = Path(name)
        shutil.copytree(made.folder / "input", place / "input")
        shutil.copy(made.folder / "projects.json", place)
        yield place


def run(code: Path, chosen: dict[str, Any], *words: str) -> None:
    """Run Python in the folder of the code; what it says on stderr is shown if it fails."""
    done = subprocess.run(
        [sys.executable, *words], cwd=code, env=settings(**chosen), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"make.py: {' '.join(words[-6:])}: exit status {done.returncode}\n{done.stderr}")


def write_rows(made: GoldenSet, place: Path, shards: int) -> None:
    """How many rows the published snapshot of a stopped flow has, by table."""
    with duckdb.connect(str(place / "data" / SNAPSHOT), read_only=True) as connection:
        counts = {
            table: len(rows_of(connection, table, columns))
            for table, columns in tables_of(connection).items()
        }
    (made.folder / f"stopped-{shards}.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


def facts_of(place: Path) -> dict[str, Any]:
    """The versions of what is stored."""
    with duckdb.connect(str(place / "data" / SNAPSHOT), read_only=True) as connection:
        (schema,) = connection.execute("SELECT version FROM schema_info").fetchone() or (0,)
    versions = {step: version for step, (version, _) in sorted(latest_snapshots(place / "store").items())}
    return {"schema": schema, "snapshots": versions}


def write_facts(made: GoldenSet, facts: dict[str, Any]) -> None:
    """Write set.json."""
    (made.folder / "set.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def commit_of(code: Path) -> str:
    """The commit that is checked out there."""
    words = ["git", "-C", str(code), "log", "-1", "--format=%h, %s", "--", "dataflow", "state"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
