"""What `cronwax notify` and its commands do."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from cronwax.commands.arguments import complain, near
from cronwax.notify.events import KINDS, Kind
from cronwax.notify.ledger import FOLDER, Ledger
from cronwax.notify.notification import Notification, key_of
from cronwax.notify.routes import Routes, Subject
from cronwax.notify.routes_file import read_routes
from cronwax.notify.secret_values import SecretError
from cronwax.notify.service import NotifyError, run
from cronwax.notify.settings import NotifySettings, routes_path
from cronwax.notify.snapshot_facts import SnapshotFacts
from cronwax.notify.targets.base import DeliveryError
from dataflow.operations.logs import configure_logs
from dataflow.settings import Settings
from state.ask.terminal import clean

_ENDS: dict[Kind, str] = {
    "failure": "a failure",
    "recovery": "its end",
    "flapping": "flapping",
    "broken": "weeks of failing",
    "system_incident": "lost check-ins",
    "stalled": "a stalled flow",
}
"""The kinds in words."""


def notify(options: argparse.Namespace) -> int:
    """Run the notifier until it is stopped."""
    since_us = _since_us(options.since)
    configure_logs()
    run(Settings.load(), NotifySettings.load(), since_us)
    return 0


def check(options: argparse.Namespace) -> int:
    """Say whether the routes file is right, and who is notified."""
    settings = Settings.load()
    path = routes_path(settings, NotifySettings.load())
    tables, warnings = read_routes(path)
    routes = tables.policy().routes
    print(f"{path}: {len(tables.targets)} targets, {len(list(routes.all()))} routes")
    for name, target in tables.targets.items():
        print(f"target {name}: {target.type}")
    facts = SnapshotFacts(settings.data_dir)
    if routes.ask_owner and not facts.is_there:
        complain(
            f"there is no published snapshot in {settings.data_dir}: routes by owner match nothing until there is"
        )
    for project, slug in options.monitor:
        owner = options.owner or facts.owner(project, slug)
        if not options.owner and facts.is_there and not facts.knows(project, slug):
            complain(f"the published snapshot has no monitor {project}/{slug}; its owner is not known")
        _show_choices(routes, project, slug, options.environment, owner)
    for warning in warnings:
        complain(warning)
    return 2 if warnings else 0


def _show_choices(routes: Routes, project: int, slug: str, environment: str, owner: str | None) -> None:
    print(f"\n{project}/{clean(slug)}, {clean(environment)}{f', owner {clean(owner)}' if owner else ''}:")
    for kind in KINDS:
        if kind in ("system_incident", "stalled"):
            subject = Subject(kind)
        else:
            subject = Subject(kind, project, slug, environment, owner)
        chosen = [f"{target} ({route.name})" for target, route in routes.choose(subject)]
        about = "" if subject.project_id is not None else " (of no monitor)"
        print(f"  {_ENDS[kind] + about:30} {', '.join(chosen) or 'nobody'}")


def test(options: argparse.Namespace) -> int:
    """Send one test message to a target."""
    settings = Settings.load()
    tables, _ = read_routes(routes_path(settings, NotifySettings.load()))
    config = tables.targets.get(options.target)
    if config is None:
        raise NotifyError(f"there is no target {options.target}{near(options.target, tables.targets)}", 2)
    now_ms = round(time.time() * 1000)
    key = key_of("test", options.target, now_ms)
    notification = Notification(
        key,
        options.target,
        "test",
        "test",
        "test",
        key,
        [key],
        now_ms,
        "Cronwax: a test",
        [f"This is a test of the target {options.target}. Nothing is wrong."],
    )
    try:
        sender = config.build()
        answer = sender.send(notification, time.time())
        sender.close()
    except (DeliveryError, SecretError) as error:
        complain(f"target {options.target}: {error}")
        return 1
    print(f"target {options.target} ({config.type}) has taken it: {answer}")
    return 0


def log(options: argparse.Namespace) -> int:
    """Show notifications and their attempts."""
    folder = Settings.load().data_dir / FOLDER
    if not folder.is_dir():
        raise NotifyError(f"{folder}: there is no ledger; nothing was ever sent")
    ledger = Ledger(folder, is_read_only=True)
    given = {
        "state": options.state,
        "target": options.target,
        "limit": options.limit,
        "incident": options.incident,
    }
    rows = ledger.query(_LOG, given)
    ledger.close()
    for row in reversed(rows):
        entry = _entry(row)
        print(json.dumps(entry) if options.json else _line(entry))
    return 0


_LOG = """
SELECT o.seq, o.key, o.target, o.state, o.created_ms, o.detail, o.body, (
    SELECT json_group_array(json_object('number', a.number, 'asked_ms', a.asked_ms, 'answered_ms', a.answered_ms,
        'outcome', coalesce(a.outcome, 'asked'), 'detail', a.detail)) FROM attempts AS a WHERE a.seq = o.seq
) FROM outbox AS o
WHERE (:state IS NULL OR o.state = :state) AND (:target IS NULL OR o.target = :target)
    AND (
        :incident IS NULL
        OR :incident IN (CAST(o.body AS TEXT) ->> '$.event.key', CAST(o.body AS TEXT) ->> '$.event.incident_id')
    )
ORDER BY o.seq DESC LIMIT :limit
"""


def _entry(row: tuple[Any, ...]) -> dict[str, Any]:
    seq, key, target, state, created_ms, detail, body, attempts = row
    notification = msgspec.json.decode(body, type=Notification)
    event = notification.event
    tried = sorted(json.loads(attempts), key=lambda each: each["number"])
    return {
        "id": seq,
        "key": key,
        "target": target,
        "route": notification.route,
        "does": notification.does,
        "kind": notification.kind,
        "state": state,
        "planned_at": _iso(created_ms),
        "title": notification.title,
        "project_id": event.project_id if event is not None else None,
        "slug": event.slug if event is not None else None,
        "environment": event.environment if event is not None else None,
        "incident_id": event.incident_id if event is not None else None,
        "detail": detail,
        "attempts": [
            {
                "number": each["number"],
                "asked_at": _iso(each["asked_ms"]),
                "answered_at": _iso(each["answered_ms"]),
                "outcome": each["outcome"],
                "detail": each["detail"],
            }
            for each in tried
        ],
    }


def _line(entry: dict[str, Any]) -> str:
    attempts = len(entry["attempts"])
    tried = f"{attempts} attempt{'' if attempts == 1 else 's'}"
    detail = f": {entry['detail']}" if entry["detail"] else ""
    cells = (
        entry["planned_at"],
        entry["state"],
        entry["target"],
        clean(entry["title"]),
        f"{tried}{clean(detail)}",
    )
    return "\t".join(cells)


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _since_us(word: str | None) -> int | None:
    if word is None:
        return None
    if word == "now":
        return time.time_ns() // 1_000
    try:
        at = datetime.fromisoformat(word)
    except ValueError:
        raise NotifyError(f"--since {word!r}: must be a time such as 2026-11-25T18:00, or now", 2) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)
