"""What a run came to: totals of the published snapshot."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from state.ask.terminal import clean
from state.program import data_dir_option, program
from state.publish.snapshot import open_snapshot

Summary = dict[str, dict[str, int]]
"""By topic: totals by name."""

_TOTALS = {
    "monitors": "SELECT status, count(*) FROM monitor_environments GROUP BY status ORDER BY status",
    "check-ins": "SELECT status, count(*) FROM check_ins GROUP BY status ORDER BY status",
    "incidents": """
        SELECT name, total FROM (
            SELECT count(*) AS opened, count(resolving_timestamp) AS resolved FROM incidents
        ) UNPIVOT (total FOR name IN (opened, resolved))""",
    "messages": "SELECT payload_type, count(*) FROM status_changes GROUP BY ALL ORDER BY payload_type",
    "errors": """
        SELECT error_type, count(*) FROM (SELECT unnest(error_types) AS error_type FROM processing_errors)
        GROUP BY error_type ORDER BY error_type""",
}


def summarize(source: duckdb.DuckDBPyConnection | Path) -> Summary:
    """Totals of a connection, or of the snapshot in a data folder.

    `monitors` (environments) and `check-ins` by status, `incidents` opened and resolved, `messages` by
    payload type, `errors` by type. Raises StateError if there is no snapshot that can be read.
    """
    if isinstance(source, Path):
        with open_snapshot(source) as connection:
            return summarize(connection)
    return {topic: dict(source.execute(query).fetchall()) for topic, query in _TOTALS.items()}


def print_summary(summary: Summary, data_dir: Path = Path("data"), unreadable: str | None = None) -> None:
    """Show totals and what to type next: a table on a terminal, else plain lines.

    `unreadable` is why a message could not be read, where there is one.
    """
    if not sys.stdout.isatty():
        for topic, totals in summary.items():
            print(f"{topic}: {_listed(totals)}")
    else:
        table = Table(show_header=False)
        for topic, totals in summary.items():
            table.add_row(f"[bold]{topic}[/]", _listed(totals))
        Console().print(table)
    if unreadable is not None:
        print(f"not read: {unreadable}; all of it is in {data_dir / 'dead_letters.jsonl'}")
    print(f"next: {program()} status{data_dir_option(data_dir)}")


def first_unreadable(data_dir: Path) -> str | None:
    """Where the first message was that could not be read, and why; None if all could. Raises StateError."""
    with open_snapshot(data_dir) as connection:
        row = connection.execute(
            """
            SELECT topic, "partition", "offset", errors->>'$[0].reason' FROM processing_errors
            WHERE list_contains(error_types, 'MALFORMED_MESSAGE')
            ORDER BY received_at NULLS FIRST, topic, "partition", "offset" LIMIT 1
            """
        ).fetchone()
    if row is None:
        return None
    topic, partition, offset, why = row
    return clean(f"{topic}, partition {partition}, line {offset}: {why}")


def _listed(totals: dict[str, int]) -> str:
    return ", ".join(f"{total:,} {name}" for name, total in totals.items()) or "none"
