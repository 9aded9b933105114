"""Says whether the flow is well, for probes, cron and people: `cronwax health`."""

from __future__ import annotations

import json
import os
import shutil
import time

from cronwax.commands.arguments import (
    OneLineParser,
    are_settings_misspelt,
    complain,
    data_dir,
    path,
    whole_number,
)
from state.program import program

UNWELL = 1
_YEAR_SECONDS = 31_536_000


def parser() -> OneLineParser:
    """The command line: limits, each of which 0 switches off."""
    top = OneLineParser(
        prog=f"{program()} health",
        description="Say in one line whether the flow is well, from the published snapshot: the flow itself is not "
        "asked. Exit status 0: well; 1: not; 2: a wrong command line. A limit of 0 is not checked.",
    )
    top.add_argument("--data-dir", type=path, default=data_dir(), help="the flow's data folder (%(default)s)")
    top.add_argument("--json", action="store_true", help="one JSON object")
    seconds, count = whole_number(0, _YEAR_SECONDS), whole_number(0, 10**12)

    def limit(name: str, kind: object, default: int, unit: str, text: str) -> None:
        top.add_argument(name, type=kind, default=default, metavar=unit, help=f"{text} (%(default)s)")  # type: ignore[arg-type]

    limit("--max-snapshot-age", seconds, 120, "SECONDS", "since the snapshot was published")
    limit("--max-clock-age", seconds, 300, "SECONDS", "of the event clock, by this machine's clock")
    limit("--max-partition-age", seconds, 600, "SECONDS", "of the slowest partition's clock")
    limit("--max-held", count, 0, "N", "misses and time-outs that wait for a decision about lost check-ins")
    limit("--max-dead-letters", count, 0, "N", "messages that could not be read, in the last hour")
    limit("--min-disk-free", count, 1_000, "MB", "free on the disk of the data folder")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Look, and say; returns the exit status."""
    options = parser().parse_args(arguments)
    if are_settings_misspelt():
        return 2
    import duckdb

    from state.ask.health import Limits, look
    from state.errors import StateError, reason
    from state.publish.snapshot import open_snapshot

    limits = Limits(
        options.max_snapshot_age,
        options.max_clock_age,
        options.max_partition_age,
        options.max_held,
        options.max_dead_letters,
        options.min_disk_free,
    )
    try:
        free_mb = shutil.disk_usage(options.data_dir).free // 1_000_000
        with open_snapshot(options.data_dir) as connection:
            found = look(connection, limits, time.time(), free_mb)
    except (StateError, duckdb.Error, OSError) as error:
        said = reason(error)
        if isinstance(error, OSError):
            said = f"{os.fspath(options.data_dir)}: {said}"
        if options.json:
            print(json.dumps({"healthy": False, "problems": [said]}))
        else:
            complain(f"unhealthy: {said}")
        return UNWELL
    if options.json:
        print(json.dumps({"healthy": not found.problems, "problems": found.problems, **found.figures}))
    else:
        print(
            f"{'unhealthy: ' + '; '.join(found.problems) + '. ' if found.problems else 'healthy. '}{found.words}"
        )
    return UNWELL if found.problems else 0
