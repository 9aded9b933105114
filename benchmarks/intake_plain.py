"""The plain way to take pings, for comparison: one row a ping, committed with fsync into SQLite, then the answer."""

from __future__ import annotations

import sqlite3
import sys
import time
from typing import Any
from urllib.parse import parse_qs

import uvicorn

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute(
    "CREATE TABLE IF NOT EXISTS checks (slug TEXT PRIMARY KEY, status TEXT, last_ping REAL, n_pings INTEGER)"
)
database.execute(
    "CREATE TABLE IF NOT EXISTS pings (id INTEGER PRIMARY KEY, slug TEXT, status TEXT, created REAL, ua TEXT)"
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A ping, as a handler in a web framework stores it: the check's row and the ping's, in one transaction."""
    slug = scope["path"].rstrip("/").rpartition("/")[2]
    status = parse_qs(scope["query_string"].decode()).get("status", ["ok"])[0]
    agent = dict(scope["headers"]).get(b"user-agent", b"").decode()
    now = time.time()
    database.execute("BEGIN IMMEDIATE")
    database.execute(
        "INSERT INTO checks VALUES (?, ?, ?, 1) ON CONFLICT (slug) DO UPDATE SET status = excluded.status, "
        "last_ping = excluded.last_ping, n_pings = n_pings + 1",
        (slug, status, now),
    )
    database.execute(
        "INSERT INTO pings (slug, status, created, ua) VALUES (?, ?, ?, ?)", (slug, status, now, agent)
    )
    database.execute("COMMIT")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})


if __name__ == "__main__":
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="critical",
    )
