"""Monitors that have the same environments share what says so, until one of them changes."""

from __future__ import annotations

import msgspec
import pytest

from dataflow.monitors.check_in import CheckIn, Control, Seat
from dataflow.monitors.registry import KnownMonitor, Registry
from dataflow.monitors.times import Microseconds, Minute

CONFIG = b'{"schedule": {"type": "crontab", "value": "@hourly"}}'


def send(registry, slug, environment="production", config=CONFIG, seat=Seat.HELD):
    check_in = CheckIn(
        1,
        7,
        slug,
        environment,
        b"g" * 16,
        1,
        None,
        None,
        config,
        None,
        Microseconds(60),
        Microseconds(60),
        Minute(0),
        "t",
        0,
        1,
        0,
        b"{}",
        None,
        seat,
    )
    return registry.retrieve(check_in), registry.is_ready(check_in)


def order(registry, kind, slug, environment, flag=None):
    control = Control(
        kind, 1, Microseconds(60), Minute(0), "t", 0, 1, b"{}", 7, slug, environment, None, flag
    )
    return registry.mute(control) if kind == "mute" else registry.delete(control)


def environments(registry):
    return {slug: monitor.environments for (_, slug), monitor in registry.monitors.items()}


@pytest.fixture
def registry():
    registry = Registry(10)
    for slug in ("a", "b"):
        send(registry, slug, seat=Seat.CREATE)
    return registry


def test_muting_an_environment_leaves_those_of_other_monitors_alone(registry):
    order(registry, "mute", "a", "production", True)
    assert environments(registry) == {"a": {"production": True}, "b": {"production": False}}


def test_another_environment_is_only_of_the_monitor_that_sent_it(registry):
    send(registry, "a", "dev")
    send(registry, "a", "test")
    order(registry, "mute", "a", "dev", True)
    expected = {"production": False, "dev": True, "test": False}
    assert environments(registry) == {"a": expected, "b": {"production": False}}


def test_deleting_an_environment_leaves_those_of_other_monitors_alone(registry):
    order(registry, "delete_monitor", "a", "production")
    assert environments(registry) == {"a": {}, "b": {"production": False}}
    send(registry, "a", "dev")
    assert environments(registry) == {"a": {"dev": False}, "b": {"production": False}}


def test_what_a_snapshot_held_is_shared_and_kept_apart_as_before(registry):
    order(registry, "mute", "a", "production", True)
    restored = Registry(10)
    state = msgspec.msgpack.encode(list(registry.monitors.values()))
    restored.restore(msgspec.msgpack.decode(state, type=list[KnownMonitor]))
    assert environments(restored) == environments(registry)
    order(restored, "mute", "a", "production", False)
    order(restored, "mute", "b", "production", True)
    assert environments(restored) == {"a": {"production": False}, "b": {"production": True}}


def test_a_check_in_is_ready_if_its_config_changes_nothing(registry):
    assert send(registry, "a", config=CONFIG)[1]
    assert send(registry, "a", config=None)[1]
    other = b'{"schedule": {"type": "crontab", "value": "@daily"}}'
    changed = CheckIn(
        1,
        7,
        "a",
        "production",
        b"g" * 16,
        1,
        None,
        None,
        other,
        None,
        Microseconds(60),
        Microseconds(60),
        Minute(0),
        "t",
        0,
        1,
        0,
        b"{}",
    )
    assert not registry.is_ready(changed)
    assert registry.retrieve(changed).changed
    assert registry.is_ready(changed)
    assert not registry.is_ready(msgspec.structs.replace(changed, config=CONFIG))
    assert not registry.is_ready(msgspec.structs.replace(changed, config=b"[]"))


def test_it_says_which_monitors_changed_since_it_was_asked(registry):
    assert registry.take_changed() == [(7, "a"), (7, "b")]
    upsert = Control(
        "upsert_monitor",
        1,
        Microseconds(60),
        Minute(0),
        "t",
        0,
        1,
        b"{}",
        7,
        "b",
        None,
        None,
        True,
        config=CONFIG,
    )
    disable = Control(
        "set_monitor_status", 1, Microseconds(60), Minute(0), "t", 0, 1, b"{}", 7, "a", None, "disabled"
    )
    changes = [
        (lambda: send(registry, "a", "dev"), ["a"]),
        (lambda: send(registry, "unknown", config=None), []),
        (lambda: send(registry, "c"), ["c"]),
        (lambda: order(registry, "mute", "a", "dev", True), ["a"]),
        (lambda: registry.set_status(disable), ["a"]),
        (lambda: registry.upsert_monitor(upsert), ["b"]),
        (lambda: order(registry, "delete", "a", "dev"), ["a"]),
        (lambda: order(registry, "delete", "c", None), ["c"]),
    ]
    for change, slugs in changes:
        change()
        assert [slug for _, slug in registry.take_changed()] == slugs
