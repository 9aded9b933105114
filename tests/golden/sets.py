"""Golden sets: how one is packed, unpacked, resumed and read. Used by make.py, which makes them, and by the tests."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import zstandard

from tests.processes import Outcome

FOLDER = Path(__file__).resolve().parent
SHARDS = (1, 2)
UNWRITTEN = "unwritten.msgpack"
"""A snapshot of the sink of the tables, of records that were not written yet."""
LEVEL = 19
"""Of zstd, for all that is compressed here."""
_INTERNAL = ("schema_info", "snapshot_info", "data_info")
"""Tables that no record changes."""


@dataclass(frozen=True)
class GoldenSet:
    """One folder of tests/golden."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What set.json says: the commit, the layouts' versions, the settings, the numbers of rows."""
        facts: dict[str, Any] = json.loads((self.folder / "set.json").read_text(encoding="utf-8"))
        return facts

    def unpack(self, shards: int, target: Path) -> Path:
        """Unpack what the flow left when it was stopped: `store`, `data`, `input` and projects.json, in target."""
        packed = (self.folder / f"stopped-{shards}.tar.zst").read_bytes()
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=2**30)
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            archive.extractall(target, filter="data")
        shutil.copytree(self.folder / "input", target / "input")
        shutil.copy(self.folder / "projects.json", target)
        return target

    def settings(self, place: Path, shards: int, **others: Any) -> dict[str, Any]:
        """The settings of a run in a folder that the set was unpacked to."""
        return {
            "source": "file",
            "checkins_path": place / "input",
            "projects_path": place / "projects.json",
            "data_dir": place / "data",
            "state_shards": shards,
            **self.facts["settings"],
            **others,
        }

    def outcome(self) -> Outcome:
        """What the release that made the set made of the whole input, undisturbed."""
        folder = self.folder / "outcome"
        lines = {
            path.name.removesuffix(".zst"): _text(path).splitlines() for path in sorted(folder.iterdir())
        }
        messages, dead = lines.pop("occurrences.jsonl"), lines.pop("dead_letters.jsonl")
        return Outcome({name.removesuffix(".txt"): rows for name, rows in lines.items()}, messages, dead)


def pack(folders: list[Path], target: Path) -> None:
    """Folders into one compressed archive: names and contents only, no times, owners or modes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    entry = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
                    entry.size = path.stat().st_size
                    with path.open("rb") as file:
                        archive.addfile(entry, file)
    target.write_bytes(_compress(buffer.getvalue()))


def write_outcome(outcome: Outcome, folder: Path) -> None:
    """One text file a table, its rows sorted, and the two outputs; what is large is compressed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = {f"{name}.txt": rows for name, rows in outcome.tables.items()}
    texts |= {"occurrences.jsonl": outcome.occurrences, "dead_letters.jsonl": outcome.dead_letters}
    for name, rows in texts.items():
        data = "".join(f"{row}\n" for row in rows).encode()
        if len(data) > _LARGE_BYTES:
            (folder / f"{name}.zst").write_bytes(_compress(data))
        else:
            (folder / name).write_bytes(data)


_LARGE_BYTES = 30_000


def _compress(data: bytes) -> bytes:
    # The window holds a writer's file and the snapshot that is nearly its copy.
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=25)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (zstandard.ZstdDecompressor().decompress(data) if path.suffix == ".zst" else data).decode()


def tables_of(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The tables that analysts see in a writer's file or a snapshot, and their columns."""
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
        " AND database_name = current_database() ORDER BY table_name, column_index"
    ).fetchall()
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return {name: columns for name, columns in found.items() if name not in _INTERNAL}


def rows_of(connection: duckdb.DuckDBPyConnection, table: str, columns: list[str]) -> list[str]:
    """The rows of a table as text, sorted."""
    connection.execute("SET TimeZone = 'UTC'")
    names = ", ".join(f'"{column}"' for column in columns)
    return sorted(map(repr, connection.execute(f'SELECT {names} FROM "{table}"').fetchall()))


OUTPUTS = ("occurrences.jsonl", "dead_letters.jsonl")


def lines_of(path: Path) -> list[str]:
    """The lines of an output file, sorted."""
    return sorted(path.read_text(encoding="utf-8").splitlines())


def described(found: Outcome) -> Outcome:
    """An outcome as a set keeps it: without ticks of minutes in which nothing came, nor was usual, nor was decided.
    There are tens of thousands of them; their number stays."""
    tables = dict(found.tables)
    ticks = tables.get("clock_ticks", [])
    kept = [row for row in ticks if not row.endswith(_QUIET) and ", 0, 0.0, None, 'normal'" not in row]
    tables["clock_ticks"] = [*kept, f"{len(ticks)} ticks in all"]
    return Outcome(tables, found.occurrences, found.dead_letters)


_QUIET = ", 0, None, None, 'normal', None)"


def latest_snapshots(store: Path) -> dict[str, tuple[int, dict[str, bytes]]]:
    """The newest snapshots of the stateful steps in a recovery store: by step their version, and each by state key."""
    found: dict[str, tuple[int, dict[str, bytes]]] = {}
    for step, states in stored_states(store).items():
        versions = set()
        for key, state in states.items():
            if step in STEPS:
                version, _ = msgspec.msgpack.decode(state)
                versions.add(version)
                found.setdefault(step, (version, {}))[1][key] = state
        assert len(versions) <= 1, f"{step}: {versions}"
    return found


STEPS = ("gate", "sample", "upsert", "volume", "transition")
"""The steps whose snapshots begin with the version of their layout."""


def stored_states(store: Path) -> dict[str, dict[str, Any]]:
    """The newest state of each partition and key in a recovery store, by step without the flow's name."""
    found: dict[str, dict[str, Any]] = {}
    for step, key, pickled in pickled_states(store):
        found.setdefault(step, {})[key] = pickle.loads(pickled)
    return found


def pickled_states(store: Path) -> list[tuple[str, str, bytes]]:
    """Step, key and pickled state, oldest first, of all that a recovery store holds."""
    rows: list[tuple[str, str, bytes]] = []
    for part in sorted(store.glob("part-*.sqlite3")):
        with closing(sqlite3.connect(part)) as connection:
            query = "SELECT step_id, state_key, ser_change FROM snaps ORDER BY snap_epoch, step_id, state_key"
            for step, key, state in connection.execute(query).fetchall():
                if state is not None:
                    rows.append((step.partition(".")[2].partition(".")[0], key, state))
    return rows


def shrink(store: Path) -> None:
    """Drop the free pages of a recovery store: what stood in them is outdated."""
    for part in sorted(store.glob("part-*.sqlite3")):
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("VACUUM")
