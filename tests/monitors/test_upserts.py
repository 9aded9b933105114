"""What check-ins and controls make of monitors, and what goes on to their running state."""

from __future__ import annotations

from dataflow.monitors.changes import EnvironmentReset, MonitorChanged, MonitorDeleted
from dataflow.monitors.upserts import Upserts, no_changes
from tests.monitors.test_organization import CONFIG, check_in, control, types

OTHER = b'{"schedule": {"type": "interval", "value": 5, "unit": "minute"}}'


class Known:
    """The monitors of one key group, with what came of each item."""

    def __init__(self, *items):
        self.rules = Upserts(10)
        self.out = []
        self.changes = no_changes()
        for item in items:
            self.take(item)

    def take(self, item):
        take = self.rules.control if hasattr(item, "kind") else self.rules.check_in
        take(item, self.out, self.changes)

    def rejected(self):
        return [types(errors) for _, errors in self.changes.rejected]


def test_a_check_in_follows_the_monitor_that_it_made():
    item = check_in()
    known = Known(item)
    changed, passed = known.out
    assert isinstance(changed, MonitorChanged)
    assert passed is item
    assert [row.slug for row in known.changes.monitors] == ["m"]
    assert known.changes.configs == []


def test_the_config_that_no_longer_holds_is_a_row():
    known = Known(check_in(), check_in(config=OTHER))
    (row,) = known.changes.configs
    assert (row.schedule, row.name, row.owner, row.replaced_by) == ("0 * * * *", "m", None, "check_in")


def test_an_owner_or_a_name_that_no_longer_holds_is_a_row():
    owned = CONFIG[:-1] + b', "owner": "team:1"}'
    named = control("upsert_monitor", config=owned, name="Nightly")
    known = Known(check_in(), check_in(config=owned), named, check_in(config=owned))
    assert [(row.name, row.owner, row.replaced_by) for row in known.changes.configs] == [
        ("m", None, "check_in"),
        ("m", "team:1", "control"),
    ]


def test_a_check_in_that_changes_nothing_goes_on_alone():
    known = Known(check_in())
    before = len(known.out)
    again = check_in(config=CONFIG)
    assert known.rules.registry.is_ready(again)
    known.take(again)
    assert known.out[before:] == [again]
    assert len(known.changes.monitors) == 1


def test_an_unknown_monitor_is_rejected():
    known = Known(check_in(config=None))
    assert known.out == []
    assert known.rejected() == [["MONITOR_NOT_FOUND"]]


def test_a_deleted_monitor_leaves_no_row_of_before():
    known = Known(check_in(), check_in(config=OTHER), control("delete_monitor"))
    changes = known.changes
    assert (changes.monitors, changes.configs, changes.statuses) == ([], [], [])
    assert changes.deleted == [(1, "m")]
    assert isinstance(known.out[-1], MonitorDeleted)


def test_a_reset_goes_on_and_changes_no_row():
    known = Known(check_in(), control("reset"), control("reset", environment="production"))
    resets = [item for item in known.out if isinstance(item, EnvironmentReset)]
    assert [item.environment for item in resets] == [None, "production"]
    assert len(known.changes.monitors) == 1


def test_a_reset_of_something_unknown_is_rejected():
    known = Known(check_in(), control("reset", "other"), control("reset", environment="dev"))
    assert known.rejected() == [["INVALID_CONTROL"], ["INVALID_CONTROL"]]
    assert len(known.out) == 2
