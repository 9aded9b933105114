"""One analyst: `python -m benchmarks.reader DATA_DIR PAUSE_S [--hold]` asks the snapshot until its input is closed.

Prints one JSON object: how often it read, what was inconsistent, what failed, and the seconds of a read.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from pathlib import Path
from statistics import median

import duckdb

from state.errors import StateError
from state.publish.snapshot import open_snapshot
from state.publish.snapshot_views import SNAPSHOT

INVARIANTS = {
    "check-ins without their monitor": "FROM check_ins ANTI JOIN monitors USING (project_id, slug)",
    "check-ins without their environment": "FROM check_ins"
    " ANTI JOIN monitor_environments USING (project_id, slug, environment)",
    "check-ins that are there twice": "FROM (SELECT check_in_id FROM check_ins GROUP BY ALL HAVING count(*) > 1)",
    "incidents without the check-in that began them": "FROM incidents"
    " ANTI JOIN check_ins ON check_in_id = starting_check_in_id",
    "resolved incidents without the check-in that did it": "FROM incidents"
    " ANTI JOIN check_ins ON check_in_id = resolving_check_in_id WHERE resolving_timestamp IS NOT NULL",
    "environments in error without an open incident": "FROM monitor_environments AS e"
    " ANTI JOIN (FROM incidents WHERE resolving_timestamp IS NULL) AS i ON i.incident_id = e.open_incident_id"
    " WHERE e.status = 'error' OR e.open_incident_id IS NOT NULL",
    "open incidents without their environment": "FROM incidents AS i"
    " ANTI JOIN monitor_environments AS e ON i.incident_id = e.open_incident_id"
    " WHERE i.resolving_timestamp IS NULL",
    "messages without their incident": "FROM status_changes ANTI JOIN incidents USING (incident_id)",
    "snapshots without their clock": "FROM (SELECT count(*) AS rows FROM snapshot_info) WHERE rows <> 1",
}
"""Queries that find nothing in any snapshot of a flow that deletes and drops nothing."""
_QUESTIONS = (
    "SELECT status, count(*) FROM monitor_status GROUP BY status",
    "SELECT avg(uptime) FROM uptime(event_clock() - INTERVAL 1 DAY, event_clock())",
    "SELECT * FROM noisiest LIMIT 10",
)


def read(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Ask what analysts ask, and look for what must not be; the numbers of what was found."""
    for question in _QUESTIONS:
        connection.execute(question).fetchall()
    found = {
        name: connection.execute(f"SELECT count(*) {query}").fetchone() for name, query in INVARIANTS.items()
    }
    return {name: row[0] for name, row in found.items() if row and row[0]}


def main() -> None:
    """Read until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("pause", type=float)
    parser.add_argument("--hold", action="store_true", help="keep the first snapshot that there is")
    options = parser.parse_args()
    snapshot = options.data_dir / SNAPSHOT
    seconds: list[float] = []
    wrong: dict[str, int] = {}
    failures: list[str] = []
    held: duckdb.DuckDBPyConnection | None = None
    snapshots = set()
    while not select.select([sys.stdin], [], [], options.pause)[0]:
        if not snapshot.exists():
            time.sleep(0.05)
            continue
        started = time.perf_counter()
        try:
            connection = held or open_snapshot(options.data_dir, {"threads": 1})
            wrong |= read(connection)
            snapshots.add(connection.execute("SELECT published_at::VARCHAR FROM snapshot_info").fetchone())
            if options.hold:
                held = connection
            else:
                connection.close()
        except (duckdb.Error, StateError) as error:
            failures.append(str(error))
        seconds.append(time.perf_counter() - started)
    figures = {"reads": len(seconds), "snapshots": len(snapshots), "wrong": wrong, "failures": failures}
    print(json.dumps(figures | {"read_s": median(seconds) if seconds else 0.0}))


if __name__ == "__main__":
    main()
