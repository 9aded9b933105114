"""Targets as the routes file has them, and notifications for them."""

from __future__ import annotations

from typing import Any

from cronwax.notify.notification import Notification
from cronwax.notify.planning import Planner
from cronwax.notify.policy import Policy
from cronwax.notify.routes import Route, Routes
from cronwax.notify.routes_file import read_routes
from cronwax.notify.targets.base import TargetConfig
from tests.notify.messages import ended, opened

NOW_S = 1_800_000_000.0


def target(tmp_path, **keys: Any) -> TargetConfig:
    """A target as the routes file has it."""
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in keys.items())
    path = tmp_path / "notify.toml"
    path.write_text(f'[targets.ops]\n{lines}\n[[routes]]\ntargets = ["ops"]\n')
    tables, warnings = read_routes(path)
    assert warnings == []
    return tables.targets["ops"]


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    return str(value) if isinstance(value, int) else f'"{value}"'


def planned(config: TargetConfig, count: int = 1, size: int = 10, **named: Any) -> list[Notification]:
    """An opening and its end; more of them come as digests."""
    policy = Policy(
        Routes((Route("all", ("ops",)),)),
        {"ops": config.traits},
        storm_size=size,
        link="https://ops.example/{project}/{slug}",
    )
    planner = Planner(policy)
    for number in range(count):
        planner.take(opened(f"job-{number}", **named), 0)
    planner.tick(60_000)
    for number in range(count):
        planner.take(ended(f"job-{number}"), 400_000)
    planner.tick(600_000)
    return planner.take_plan().notifications


def send(config: TargetConfig, *notifications: Notification) -> list[str]:
    sender = config.build()
    answers = [sender.send(each, NOW_S) for each in notifications]
    sender.close()
    return answers
