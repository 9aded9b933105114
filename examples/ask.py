"""Questions to the published snapshot: `python examples/ask.py [DATA_FOLDER]`. Needs the package duckdb only."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

with duckdb.connect(str(FOLDER / "monitors.duckdb"), read_only=True) as snapshot:
    print("Which jobs fail now?")
    print(
        snapshot.sql("SELECT project_id, slug, environment FROM monitor_environments WHERE status = 'error'")
    )
    print("How did the runs of the last day end?")
    print(snapshot.sql("SELECT status, count(*) AS runs FROM check_ins GROUP BY status ORDER BY runs DESC"))
    print("When was this as of?")
    print(snapshot.sql("SELECT event_clock, published_at FROM snapshot_info"))
