"""Run scenarios: input for the flow, and what its tables and messages must hold at the end.

    python tests/scenarios/run_scenarios.py [--keep] PATH...

PATH is a scenario or a folder of them. A scenario is a JSON object:

    name      what it shows, as a sentence
    settings  CRONWAX_ settings without the prefix; "PROJECTS" is the content of the file of PROJECTS_PATH
    input     the lines of the input file: objects, or text for a line as it stands
    inputs    instead of `input`, for several partitions: {file name: lines}; `.gz` and `.zst` are compressed
    expect    {table: {"rows": [...], "count": N}}: each row stands for a row of its own that has these values
              in these columns; `count`, where given, is how many rows the table has. "messages" and
              "dead_letters" are the lines of the files that the flow writes.

The flow is started as users start it, in a process of its own (the tests save the imports: tests/warm.py). Values
compare by what they mean: times as instants, UUIDs however they are spelled, objects by the keys that the scenario
names.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import zstandard

PROJECT = Path(__file__).resolve().parents[2]
FILES = {"messages": "occurrences.jsonl", "dead_letters": "dead_letters.jsonl"}
"""What is compared like a table, and is a file."""
KEYS = {"name", "settings", "input", "inputs", "expect"}
RUN_SECONDS = 120
"""After this long a run counts as hung."""

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Run = Callable[[dict[str, str]], tuple[int, str, str]]
"""Runs the flow with an environment: its status, stdout and stderr."""


class BadScenarioError(Exception):
    """The file is not a scenario; the text says why."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, read."""

    name: str
    settings: dict[str, Any]
    inputs: dict[str, list[Any]]
    """Lines by file name."""
    expect: dict[str, dict[str, Any]]


def read_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises BadScenarioError where a mistake would make it test less than it says."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict) or raw.keys() - KEYS or not raw.get("name") or not raw.get("expect"):
        raise BadScenarioError(f"{path.name}: needs name and expect, and no keys but {sorted(KEYS)}")
    if ("input" in raw) == ("inputs" in raw):
        raise BadScenarioError(f"{path.name}: needs input or inputs")
    for table, wanted in raw["expect"].items():
        if not wanted.keys() <= {"rows", "count"} or not (wanted.get("rows") or "count" in wanted):
            raise BadScenarioError(f"{path.name}: expects nothing of {table}")
    inputs = raw.get("inputs", {"checkins.jsonl": raw.get("input")})
    return Scenario(raw["name"], raw.get("settings", {}), inputs, raw["expect"])


def write_input(path: Path, lines: list[Any]) -> None:
    """Write an input file, compressed as its name says."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    content = text.encode("utf-8", "surrogatepass")
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.compress(content)
    path.write_bytes(content)


def environment_for(scenario: Scenario, folder: Path) -> dict[str, str]:
    """The environment variables of a run; nothing of the caller's settings gets in."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CRONWAX_")}
    settings = {
        "SOURCE": "file",
        "CHECKINS_PATH": folder / "input",
        "DATA_DIR": folder / "data",
        "SAMPLE_NEW_MONITORS": "false",
    } | scenario.settings
    if "PROJECTS" in settings:
        projects = folder / "projects.json"
        projects.write_text(json.dumps(settings.pop("PROJECTS")), encoding="utf-8")
        settings["PROJECTS_PATH"] = projects
    return variables | {f"CRONWAX_{name}": str(value) for name, value in settings.items()}


def run_as_users(variables: dict[str, str]) -> tuple[int, str, str]:
    """Run the flow with this environment, as users start it: its status, stdout and stderr."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bytewax.run", "dataflow:flow"],
            cwd=PROJECT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, "", f"it did not end within {RUN_SECONDS} s"
    return done.returncode, done.stdout, done.stderr


def run_flow(scenario: Scenario, folder: Path, run: Run = run_as_users) -> str | None:
    """Run the flow over the scenario's input, in a folder of its own. Returns why it failed, if it did."""
    (folder / "input").mkdir(parents=True)
    for name, lines in scenario.inputs.items():
        write_input(folder / "input" / name, lines)
    status, out, err = run(environment_for(scenario, folder))
    if status:
        last = (err or out).strip().splitlines()[-1:]
        return f"the flow ended with status {status}: {''.join(last)}"
    return None


def read_tables(names: list[str], data: Path) -> Tables:
    """What the flow left behind: tables by name, rows as dictionaries. Raises duckdb.Error, OSError."""
    tables: Tables = {}
    with duckdb.connect(str(data / "monitors.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in names:
            if name in FILES:
                path = data / FILES[name]
                text = path.read_text(encoding="utf-8") if path.exists() else ""
                tables[name] = [json.loads(line) for line in text.splitlines()]
            else:
                relation = connection.table(name)
                tables[name] = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    return tables


def differences(expect: dict[str, dict[str, Any]], tables: Tables) -> list[str]:
    """What tables do not hold as expected, a line each."""
    found = []
    for name, wanted in expect.items():
        rows = tables[name]
        for row in unmatched(wanted.get("rows", []), rows):
            seen = [{column: candidate.get(column) for column in row} for candidate in rows[:5]]
            found.append(f"{name}: no row {row}; has {seen}")
        if len(rows) != wanted.get("count", len(rows)):
            found.append(f"{name}: {len(rows)} rows, expected {wanted['count']}: {rows[:5]}")
    return found


def unmatched(wanted: list[Row], rows: list[Row]) -> list[Row]:
    """Those wanted rows that find no row of their own, however the others are paired."""
    choices = [[index for index, row in enumerate(rows) if agrees(want, row)] for want in wanted]
    taken_by: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for index in choices[want]:
            if index not in tried:
                tried.add(index)
                if index not in taken_by or place(taken_by[index], tried):
                    taken_by[index] = want
                    return True
        return False

    return [row for want, row in enumerate(wanted) if not place(want, set())]


def agrees(expected: Any, actual: Any) -> bool:
    """Whether a value is what a scenario expects of it."""
    if isinstance(expected, dict | list) and isinstance(actual, str):
        with suppress(ValueError):  # a column of JSON
            actual = json.loads(actual)
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and agrees(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(agrees(value, item) for value, item in zip(expected, actual, strict=True))
        )
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual or (isinstance(expected, str) and same_meaning(expected, actual)))


def same_meaning(text: str, actual: Any) -> bool:
    """Whether text spells the same UUID or the same instant as a value."""
    with suppress(ValueError):
        return UUID(text) == (actual if isinstance(actual, UUID) else UUID(str(actual)))
    with suppress(ValueError):
        return instant(text) == (actual if isinstance(actual, datetime) else instant(str(actual)))
    return False


def instant(text: str) -> datetime:
    """A time that names its offset; without one it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def failures_of(path: Path, folder: Path, run: Run = run_as_users) -> list[str]:
    """Run one scenario in a folder of its own. Returns what failed, a line each."""
    try:
        scenario = read_scenario(path)
    except (OSError, ValueError, BadScenarioError) as error:
        return [f"no scenario: {error}"]
    if failure := run_flow(scenario, folder, run):
        return [failure]
    try:
        tables = read_tables(list(scenario.expect), folder / "data")
    except (duckdb.Error, OSError, ValueError) as error:
        return [f"the output cannot be read: {error}"]
    return differences(scenario.expect, tables)


def scenario_paths(paths: list[Path]) -> Iterator[Path]:
    """The scenarios that paths stand for; those of a folder by name."""
    for path in paths:
        yield from sorted(path.glob("*.json")) if path.is_dir() else [path]


def main() -> int:
    """Run what the command line names; 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Run scenarios against the flow.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a scenario or a folder of them")
    parser.add_argument("--keep", action="store_true", help="keep input, tables and messages, and say where")
    options = parser.parse_args()
    paths = list(scenario_paths(options.paths))
    top = Path(tempfile.mkdtemp(prefix="scenarios-"))
    folders = [top / f"{number}-{path.stem}" for number, path in enumerate(paths)]
    failed = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for path, failures in zip(paths, pool.map(failures_of, paths, folders), strict=True):
            failed += bool(failures)
            for failure in failures:
                print(f"{path.stem}: {failure}")
    if options.keep:
        print(f"kept in {top}")
    else:
        shutil.rmtree(top)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
