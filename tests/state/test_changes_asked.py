"""What `cronwax changes` says."""

from __future__ import annotations

from typing import Any

from state.ask.questions import QUESTIONS, Narrowing
from tests.state.answer_rows import World, at

CONFIG: dict[str, Any] = {
    "project_id": 1,
    "slug": "backup",
    "schedule_type": "crontab",
    "schedule": "0 3 * * *",
    "timezone": "UTC",
}


def changes(world: World) -> list[tuple[Any, ...]]:
    query, parameters = QUESTIONS["changes"].asked((), Narrowing())
    result = world.connection.execute(query, parameters)
    names = [column[0] for column in result.description]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return [(row["what"], row["was"], row["now_is"], row["by_what"]) for row in rows]


def changed(**now: Any) -> World:
    """A world in which one config was replaced by another one."""
    world = World(now=100)
    world.monitor(**{**CONFIG, "created_at": at(0), "name": "Backup", "owner": "team:a", **now})
    return world


def before(world: World, minute: float, **values: Any) -> None:
    was = {"name": "Backup", "owner": "team:a", "replaced_by": "check_in", **CONFIG, **values}
    world.insert("monitor_config_history", replaced_at=at(minute), **was)


def test_what_changed_is_shown_and_nothing_else() -> None:
    world = changed(owner="team:b", checkin_margin=5)
    before(world, 10, replaced_by_environment="staging")
    before(world, 20, owner="team:b", name="Old backup", replaced_by="control")
    before(world, 30, owner="team:b", schedule="0 4 * * *", timezone="Europe/Vienna")
    assert changes(world)[:3] == [
        (
            "config",
            "crontab 0 4 * * *, Europe/Vienna, margin 1 (default)",
            "crontab 0 3 * * *, UTC, margin 5",
            "check_in",
        ),
        (
            "config",
            "crontab 0 3 * * *, UTC, name Old backup",
            "crontab 0 4 * * *, Europe/Vienna, name Backup",
            "control",
        ),
        ("config", "name Backup, owner team:a", "name Old backup, owner team:b", "check_in of staging"),
    ]


def test_a_default_that_is_written_out_is_a_change_too() -> None:
    world = changed(max_runtime=30)
    before(world, 10)
    assert changes(world)[0] == ("config", "runtime 30 (default)", "runtime 30", "check_in")


def test_an_owner_who_is_gone_is_said() -> None:
    world = changed(owner=None)
    before(world, 10)
    assert changes(world)[0][1:3] == ("owner team:a", "no owner")


def test_of_changes_from_before_names_were_kept_the_owner_is_not_guessed() -> None:
    world = changed(checkin_margin=2)
    before(world, 10, name=None, owner=None)
    assert changes(world)[0][1:3] == ("margin 1 (default)", "margin 2")
