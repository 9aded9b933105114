"""`why`: what it says, from rows alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from state.ask.why import as_text, why
from state.errors import StateError
from tests.state.answer_rows import World, at


class Told(World):
    """A world that is asked why."""

    _places = 0

    def backup(self, **values):
        usual: dict[str, Any] = {
            "schedule_type": "crontab",
            "schedule": "0 * * * *",
            "timezone": "UTC",
            "created_at": at(-600),
        }
        self.monitor(**(usual | {"next_checkin": at(120)} | values))

    def missed(self, minutes, tick=None):
        tick = minutes + 1 if tick is None else tick
        return self.check_in(minutes, "missed", expected_time=at(minutes), date_updated=at(tick))

    def decided(self, check_in_id, minutes, noticed, incident=None, counted=True, **values):
        self._places += 1
        row = {"project_id": 1, "slug": "backup", "environment": "production", "verdict": "failure"}
        row |= {"check_in_id": check_in_id, "date_added": at(minutes), "noticed_at": at(noticed)}
        row |= {"incident_id": incident, "counted": counted, "place": self._places}
        self.insert("run_decisions", **(row | values))

    def told(self, minutes, payload_type, incident, payload="{}"):
        self.insert(
            "status_changes",
            message_id=f"m{minutes}",
            payload_type=payload_type,
            project_id=1,
            slug="backup",
            environment="production",
            incident_id=incident,
            created_at=at(minutes),
            payload=payload,
        )

    def why(self, minutes=None, slug="backup", project=None, environment=None):
        moment = None if minutes is None else at(minutes)
        return "\n".join(as_text(why(self.connection, slug, project, environment, moment)))


@pytest.fixture
def world():
    return Told(now=100)


def test_one_that_is_well_says_what_came_and_what_is_next(world):
    world.backup()
    world.check_in(60, expected_time=at(60), duration_ms=1000)
    assert world.why().splitlines() == [
        "1/backup, production, at 2025-03-03 01:40 UTC: ok.",
        "  Its schedule is 0 * * * * (crontab, UTC), as set at 2025-03-02 14:00 UTC. A run may begin 1 minute late and "
        "take 30 minutes; an incident opens with 1 failure in a row and is resolved by 1 success in a row.",
        "  Its newest run that ended began at 2025-03-03 01:00 UTC, due at 2025-03-03 01:00 UTC, and was ok.",
        "  Next it is expected at 2025-03-03 02:00 UTC, and is missed from 2025-03-03 02:01 UTC on.",
        "  Nothing has been sent about it.",
    ]


def test_one_that_fails_says_which_failures_reached_the_threshold_and_when(world):
    world.backup(status="error", failure_issue_threshold=2)
    world.check_in(-60)
    failed, missed = world.check_in(0, "error", date_updated=at(5), duration_ms=300_000), world.missed(60)
    incident = world.incident(0, starting_check_in_id=failed)
    world.decided(failed, 0, 5)
    world.decided(missed, 60, 61, incident)
    world.told(61, "occurrence", incident)
    text = world.why()
    assert "error, since 2025-03-03 00:00 UTC." in text
    assert "The run that began at 2025-03-03 00:00 UTC was reported as failed at 00:05." in text
    assert (
        "at 2025-03-03 01:00 UTC, it did not come: the tick of 2025-03-03 01:01 UTC found it missed." in text
    )
    assert f"the threshold is 2, so incident {incident} was opened at 2025-03-03 01:01 UTC." in text
    assert "The newest message about it: occurrence, 2025-03-03 01:01 UTC." in text


def test_before_the_threshold_was_reached_it_was_ok(world):
    world.backup(status="error", failure_issue_threshold=2)
    world.check_in(-60)
    failed, missed = world.check_in(0, "error"), world.missed(60)
    world.decided(failed, 0, 0)
    world.decided(missed, 60, 61, world.incident(0, starting_check_in_id=failed))
    text = world.why(30)
    assert text.startswith("1/backup, production, at 2025-03-03 00:30 UTC: ok.")
    assert "1 failure in a row: not yet the threshold, 2." in text
    assert (
        "Next it was expected at 2025-03-03 01:00 UTC, and would be missed from 2025-03-03 01:01 UTC on."
        in text
    )


def test_an_incident_is_open_until_its_resolving_check_in_and_then_over(world):
    world.backup()
    world.missed(0)
    resolving = world.check_in(60, date_updated=at(62))
    world.incident(0, 60, resolving_check_in_id=resolving)
    assert ": error, since 2025-03-03 00:00 UTC." in world.why(61)
    assert "began at 2025-03-03 00:00 UTC and was resolved at 2025-03-03 01:02 UTC." in world.why(62)


def test_an_incident_is_over_though_its_check_ins_are_no_longer_kept(world):
    world.backup()
    world.incident(0, 60, resolving_check_in_id=UUID(int=77))
    world.check_in(90)
    assert ": ok." in world.why()
    assert "began at 2025-03-03 00:00 UTC and was resolved at 2025-03-03 01:00 UTC." in world.why()


def test_successes_that_are_not_enough_are_counted(world):
    world.backup(status="error", recovery_threshold=3)
    missed, well = world.missed(0), world.check_in(60)
    incident = world.incident(0, starting_check_in_id=missed)
    world.decided(missed, 0, 1, incident)
    world.decided(well, 60, 60, incident, verdict="success")
    assert "1 success in a row since: 3 are needed." in world.why()


def test_the_schedule_is_the_one_then_in_force(world):
    world.backup(schedule="30 * * * *", checkin_margin=5)
    world.check_in(-300)
    world.insert(
        "monitor_config_history",
        project_id=1,
        slug="backup",
        replaced_at=at(0),
        schedule_type="interval",
        schedule="2 hour",
        timezone="UTC",
        max_runtime=7,
    )
    before, after = world.why(-1), world.why(0)
    assert (
        "was every 2 hour (interval, UTC), as set at 2025-03-02 14:00 UTC until 2025-03-03 00:00 UTC."
        in before
    )
    assert "take 7 minutes" in before
    assert "is 30 * * * * (crontab, UTC), as set at 2025-03-03 00:00 UTC." in after
    assert "begin 5 minutes late" in after


def test_a_tick_that_was_decided_later_is_said_to_have_waited(world):
    world.backup(status="error")
    missed = world.missed(60)
    world.decided(missed, 60, 61, world.incident(60, starting_check_in_id=missed))
    tick = {"minute": at(61), "volume": 50, "expected": 100.0, "deviation": -50.0}
    world.insert("clock_ticks", **tick, decision="normal", decided_at=at(64))
    assert "It counted only from 2025-03-03 01:04 UTC on" in world.why()
    assert ": error, since" not in world.why(63)
    assert "It waits: too few check-ins" in world.why(63)


def test_a_tick_that_is_pending_is_said_to_wait(world):
    world.backup()
    world.check_in(0)
    world.decided(world.missed(60), 60, 61, counted=None)
    tick = {"minute": at(61), "volume": 50, "expected": 100.0, "deviation": -50.0}
    world.insert("clock_ticks", **tick, decision="abnormal", decided_at=None)
    assert "It waits: too few check-ins came from everybody" in world.why()


def test_a_system_incident_explains_what_is_unknown(world):
    world.backup()
    world.check_in(0)
    world.check_in(60, "unknown", expected_time=at(60), date_updated=at(62))
    world.insert(
        "system_incident_spans",
        system_incident_id="ab",
        start=at(55),
        end=at(70),
        detected_at=at(57),
        volume=20,
        expected=100.0,
    )
    text = world.why(65)
    assert "1 check-in since then is unknown, the newest of 2025-03-03 01:00 UTC" in text
    assert (
        "Check-ins were being lost from 2025-03-03 00:55 UTC on, until 2025-03-03 01:10 UTC: 20 came" in text
    )
    assert "lost from" not in world.why(70)


def test_a_run_in_progress_is_so_until_it_ended(world):
    world.backup()
    world.check_in(0)
    world.check_in(60, date_updated=at(70), expected_time=at(60))
    assert "In progress: a run that began at 2025-03-03 01:00 UTC." in world.why(65)
    assert "In progress" not in world.why(70)
    world.check_in(80, "in_progress", timeout_at=at(110))
    assert "began at 2025-03-03 01:20 UTC; it times out at 2025-03-03 01:50 UTC." in world.why()


def test_times_are_told_in_the_monitors_zone_too(world):
    world.backup(timezone="America/New_York")
    world.check_in(60, duration_ms=1000)
    text = world.why()
    assert "at 2025-03-03 01:40 UTC (2025-03-02 20:40 in America/New_York): ok." in text
    assert "began at 2025-03-03 01:00 UTC (2025-03-02 20:00), and was ok." in text


def test_mute_flapping_and_broken_say_why_nothing_is_told(world):
    world.backup(status="error", is_muted=True)
    world.missed(0)
    incident = world.incident(0)
    world.told(1, "occurrence", incident, '{"issue_title": "Monitor flapping: backup"}')
    keys = {"project_id": 1, "slug": "backup", "environment": "production"}
    world.insert("broken_monitors", **keys, incident_id=incident, detected_at=at(10), muted_at=at(40))
    world.insert("mute_history", **keys, changed_at=at(40), is_muted=True, is_by_person=False)
    text = world.why()
    assert "It was reported at 2025-03-03 00:01 UTC that it goes back and forth" in text
    assert "That was noticed at 2025-03-03 00:10 UTC, and muted at 2025-03-03 00:40 UTC." in text
    assert "It is muted since 2025-03-03 00:40 UTC, because it was broken" in text
    earlier = world.why(39)
    assert "That was noticed at 2025-03-03 00:10 UTC." in earlier
    assert "muted" not in earlier


def test_a_disabled_monitor_expects_nothing(world):
    world.backup(monitor_status="active", updated_at=at(95))
    world.becomes("disabled", 50)
    world.becomes("active", 95)
    world.check_in(0)
    text = world.why(94)
    assert "disabled. It was switched off at 2025-03-03 00:50 UTC: nothing is expected." in text
    assert "Next it" not in text
    assert ": ok." in world.why(49)
    assert ": ok." in world.why(96)


def test_an_environment_that_nothing_was_known_of_by_then_says_so(world):
    world.backup()
    world.check_in(60)
    assert "No check-in of it was known by then." in world.why(30)


def test_every_environment_that_fits_has_a_paragraph(world):
    world.backup()
    world.monitor(environment="staging", status="active")
    world.check_in(0)
    assert [line for line in world.why().splitlines() if line.startswith("1/")] == [
        "1/backup, production, at 2025-03-03 01:40 UTC: ok.",
        "1/backup, staging, at 2025-03-03 01:40 UTC: active. Nothing of it has finished.",
    ]
    assert "staging" not in world.why(environment="production")


def test_one_that_was_never_seen_says_what_was_rejected(world):
    with pytest.raises(StateError, match=r"^no check-in of a monitor nope has ever been accepted$"):
        world.why(slug="nope")
    world.insert(
        "processing_errors", project_id=1, slug="nope", received_at=at(5), error_types=["MONITOR_NOT_FOUND"]
    )
    with pytest.raises(StateError, match=r"1 that named it was rejected, .* 00:05 UTC: MONITOR_NOT_FOUND"):
        world.why(slug="nope")
    world.backup()
    with pytest.raises(StateError, match="backup has no environment moon"):
        world.why(environment="moon")
