"""What is sent to whom, and when: the planner alone, with times given."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from cronwax.notify.events import Event, Kind
from cronwax.notify.ledger import _decode_incident, _decode_window
from cronwax.notify.notification import Notification
from cronwax.notify.planning import Planner
from cronwax.notify.policy import Policy, Traits
from cronwax.notify.routes import DEFAULT, Route, Routes
from cronwax.notify.silences import Silences
from tests.notify.messages import (
    acknowledged,
    broken,
    ended,
    event,
    failure,
    opened,
    silence,
    stall,
    system_incident,
    us,
)

MINUTE = 60_000
HOUR = 60 * MINUTE
GROUPS = Traits(groups=True, takes_notes=False, has_state=True)
PAGER = Traits(takes_notes=False, has_state=True)


def policy(*routes: Route, size: int = 10, default: Sequence[str] = ("ops",), **others) -> Policy:
    names = {"ops", *default, *(target for route in routes for target in route.targets)}
    traits = {"alerts": GROUPS, "pager": PAGER}
    return Policy(
        Routes(routes, Route(DEFAULT, tuple(default)) if default else None),
        {name: traits.get(name, Traits()) for name in sorted(names)},
        storm_size=size,
        **others,
    )


class World:
    """A planner, and everything that it planned."""

    def __init__(self, policy: Policy, **others) -> None:
        self.over: set[str] = set()
        self.planner = Planner(policy, was_ended=self.over.__contains__, **others)
        self.sent: list[Notification] = []

    def take(self, *events: Event, now: int = 0, is_past: bool = False) -> list[str]:
        for each in events:
            self.planner.take(each, now, is_past=is_past)
        return self._planned()

    def tick(self, now: int) -> list[str]:
        self.planner.tick(now)
        return self._planned()

    def _planned(self) -> list[str]:
        plan = self.planner.take_plan()
        self.over |= plan.ended
        self.sent += plan.notifications
        return [f"{each.target}: {each.title}" for each in plan.notifications]


def test_an_opening_and_its_end_are_notified_once():
    world = World(policy())
    assert world.take(opened()) == ["ops: nightly (production) failed"]
    assert world.take(opened(again=1, at_s=60), opened(again=2, at_s=120)) == []
    assert world.take(ended()) == ["ops: nightly (production) recovered"]
    assert world.take(ended()) == []
    assert [each.does for each in world.sent] == ["opens", "ends"]
    assert world.sent[1].thread == world.sent[0].key


def test_a_repeated_message_changes_nothing():
    world = World(policy())
    first = [opened(), opened(again=1, at_s=60), ended()]
    world.take(*first)
    assert world.take(*first) == []
    assert world.planner.incidents == {}


def test_the_next_incident_of_an_environment_is_notified_again():
    world = World(policy())
    world.take(opened(number=1), ended(number=1))
    assert world.take(opened(number=2)) == ["ops: nightly (production) failed"]
    assert len({each.key for each in world.sent}) == 3
    assert len({tuple(each.lanes) for each in world.sent}) == 1


def test_keys_are_the_same_in_a_replay_at_another_time():
    def keys(now):
        world = World(policy())
        world.take(opened(), ended(), now=now)
        return [each.key for each in world.sent]

    assert keys(0) == keys(5 * HOUR)


def test_the_end_goes_to_those_who_were_notified_even_if_routes_have_changed():
    world = World(policy(Route("a", ("pager",)), default=()))
    world.take(opened())
    world.planner.policy = policy(Route("a", ("other",)), Route("b", ("pager",)), default=())
    assert world.take(ended()) == ["pager: nightly (production) recovered"]


def test_the_end_is_not_notified_where_the_route_leaves_recoveries_out():
    world = World(policy(Route("a", ("ops",), kinds=frozenset[Kind](["failure"])), default=()))
    world.take(opened())
    assert world.take(ended()) == []


def test_a_route_for_recoveries_alone_tells_of_ends_alone():
    failures = Route("a", ("pager",), kinds=frozenset[Kind](["failure"]))
    recoveries = Route("b", ("ops",), kinds=frozenset[Kind](["recovery"]))
    world = World(policy(failures, recoveries, default=()))
    assert world.take(opened()) == ["pager: nightly (production) failed"]
    assert world.take(ended()) == ["ops: nightly (production) recovered"]


def test_what_is_past_is_not_notified_but_what_is_still_open_is():
    world = World(policy())
    past = [opened("a"), ended("a"), opened("b"), opened("c"), opened("b", again=1, at_s=60)]
    assert world.take(*past, is_past=True) == []
    world.planner.tell_open(0)
    assert world.tick(0) == ["ops: b (production) failed", "ops: c (production) failed"]
    assert world.take(ended("b")) == ["ops: b (production) recovered"]


def test_the_end_of_what_nobody_was_notified_of_is_not_notified():
    world = World(policy())
    world.take(opened(), is_past=True)
    assert world.take(ended()) == []


def test_more_than_the_size_within_a_minute_come_as_one_digest():
    world = World(policy(size=3))
    events = [opened(f"job-{number}") for number in range(10)]
    assert len(world.take(*events, now=1000)) == 3
    assert world.tick(1000 + MINUTE - 1) == []
    assert world.tick(1000 + MINUTE) == ["ops: 7 more incidents opened within a minute"]
    digest = world.sent[-1]
    assert digest.count == 7
    assert [member.slug for member in digest.members] == [f"job-{number}" for number in range(3, 10)]
    assert "- job-9 (production) in project 1: failed" in digest.sentences


def test_after_a_storm_the_next_minute_goes_to_one_digest_too():
    world = World(policy(size=3))
    world.take(*[opened(f"a-{number}") for number in range(9)], now=0)
    world.tick(MINUTE)
    assert world.take(*[opened(f"b-{number}") for number in range(9)], now=MINUTE + 5) == []
    assert world.tick(2 * MINUTE) == ["ops: 9 more incidents opened within a minute"]
    assert world.take(opened("c"), now=2 * MINUTE + 5) == []
    assert world.tick(3 * MINUTE) == ["ops: 1 more incident opened within a minute"]
    assert world.take(opened("d"), now=3 * MINUTE) == ["ops: d (production) failed"]


def test_recoveries_come_as_one_digest_likewise():
    world = World(policy(size=3))
    for number in range(10):
        world.take(opened(f"job-{number}"), now=number * MINUTE)
    assert len(world.take(*[ended(f"job-{number}") for number in range(10)], now=HOUR)) == 3
    assert world.tick(HOUR + MINUTE) == ["ops: 7 more incidents are over"]
    assert world.sent[-1].kind == "recovery"


def test_what_ended_before_its_digest_is_not_notified_twice():
    world = World(policy(size=1))
    world.take(opened("a"), opened("b"), opened("c"), now=0)
    assert world.take(ended("b"), now=5) == []
    world.tick(MINUTE)
    digest = world.sent[-1]
    assert [(member.slug, member.is_over) for member in digest.members] == [("b", True), ("c", False)]
    assert digest.sentences[1] == "1 of them is over already."
    assert world.take(ended("c"), now=2 * MINUTE) == ["ops: c (production) recovered"]
    assert world.sent[-1].thread == digest.key


def test_a_target_that_groups_by_itself_gets_no_digest():
    world = World(policy(size=1, default=("alerts",)))
    assert len(world.take(*[opened(f"job-{number}") for number in range(50)])) == 50


def test_a_digest_is_closed_where_that_means_something_when_all_in_it_is_over():
    world = World(policy(size=1, default=("pager",)))
    world.take(opened("a"), opened("b"), opened("c"), now=0)
    world.tick(MINUTE)
    digest = world.sent[-1]
    assert world.take(ended("b"), now=2 * MINUTE) == []
    assert world.take(ended("c"), now=2 * MINUTE) == ["pager: All incidents of the digest are over"]
    assert (world.sent[-1].does, world.sent[-1].thread) == ("ends", digest.key)
    assert world.take(ended("a"), now=2 * MINUTE) == ["pager: a (production) recovered"]


def test_a_digest_of_what_is_over_already_is_closed_at_once():
    world = World(policy(size=1, default=("pager",)))
    world.take(opened("a"), opened("b"), ended("b"), now=0)
    assert [title.partition(": ")[2] for title in world.tick(MINUTE)] == [
        "1 more incident opened within a minute",
        "All incidents of the digest are over",
    ]


def test_nobody_is_reminded_unless_it_is_asked_for():
    world = World(policy())
    world.take(opened(), now=0)
    assert world.tick(1000 * HOUR) == []


def test_what_stays_open_is_notified_again_after_the_time_that_was_asked_for():
    world = World(policy(remind_after_ms=4 * HOUR))
    start = us(0) // 1000
    world.take(opened(), now=start)
    world.take(opened(again=1, at_s=3600), now=start + HOUR)
    assert world.tick(start + 4 * HOUR - 1) == []
    assert world.tick(start + 4 * HOUR) == ["ops: nightly (production) still fails after 4 h"]
    assert world.tick(start + 4 * HOUR + 1) == []
    assert world.tick(start + 8 * HOUR) == ["ops: nightly (production) still fails after 8 h"]
    assert "2 failing runs since it was opened." in world.sent[-1].sentences[0]
    assert len({each.key for each in world.sent}) == 3
    world.take(ended(), now=start + 9 * HOUR)
    assert world.tick(start + 99 * HOUR) == []


def test_a_route_may_remind_by_a_time_of_its_own():
    world = World(policy(Route("a", ("ops",), remind_after_ms=HOUR), default=()))
    start = us(0) // 1000
    world.take(opened(), now=start)
    assert len(world.tick(start + HOUR)) == 1


@pytest.mark.parametrize("target", ["pager", "alerts"])
def test_who_keeps_reminding_by_itself_is_not_reminded(target):
    world = World(policy(default=(target,), remind_after_ms=HOUR))
    world.take(opened(), now=0)
    assert world.tick(10 * HOUR) == []


def test_one_message_says_that_monitoring_is_blind_and_one_that_it_sees_again():
    world = World(policy(size=1))
    world.take(opened("a"), opened("b"))
    begins, ends = event(system_incident()), event(system_incident(is_over=True))
    assert world.take(begins, begins) == ["ops: Monitoring is blind: check-ins are being lost"]
    assert world.take(ends, ends) == ["ops: Monitoring sees again: check-ins come as usual"]


def test_a_stalled_flow_is_notified_though_the_message_comes_twice():
    world = World(policy())
    assert world.take(event(stall()), event(stall())) == ["ops: Cronwax is stalled: event clock"]
    assert world.take(event(stall(is_over=True))) == ["ops: Cronwax goes on: event clock"]


def test_weeks_of_failing_are_a_note_in_the_thread_of_the_incident():
    world = World(policy())
    world.take(opened())
    assert world.take(event(broken()), event(broken("monitor_muted", at_s=5))) == [
        "ops: nightly (production) has been failing for weeks",
        "ops: nightly (production) has been failing for weeks, and is muted now",
    ]
    assert {each.thread for each in world.sent} == {world.sent[0].key}


def test_who_is_only_notified_that_it_flaps_is_notified_when_it_is_calm():
    flaps = Route("a", ("chat",), kinds=frozenset[Kind](["flapping", "recovery"]))
    world = World(policy(flaps, Route("b", ("ops",)), default=()))
    assert world.take(opened()) == ["ops: nightly (production) failed"]
    assert world.take(opened(again=1, at_s=60, changes=5)) == ["chat: nightly (production) is flapping"]
    assert world.take(ended()) == [
        "ops: nightly (production) recovered",
        "chat: nightly (production) recovered",
    ]


def test_what_a_silence_holds_is_notified_when_it_is_over_if_it_is_still_open():
    world = World(policy())
    world.take(silence(10 * MINUTE, project_id=1, slug="night*"))
    assert world.take(opened("nightly"), opened("night-2"), opened("other"), now=MINUTE) == [
        "ops: other (production) failed"
    ]
    assert world.take(ended("night-2"), now=2 * MINUTE) == []
    assert world.tick(10 * MINUTE - 1) == []
    assert world.tick(10 * MINUTE) == ["ops: nightly (production) failed"]
    assert world.tick(11 * MINUTE) == []


def test_a_silence_keeps_reminders_back_and_not_the_end_of_what_was_notified():
    world = World(policy(remind_after_ms=HOUR))
    world.take(opened(), now=0)
    world.take(silence(10 * HOUR), now=MINUTE)
    assert world.tick(5 * HOUR) == []
    assert world.take(ended(), now=6 * HOUR) == ["ops: nightly (production) recovered"]


def test_what_is_about_no_monitor_is_not_silenced():
    world = World(policy())
    world.take(silence(HOUR))
    assert world.take(event(system_incident()), now=5) != []


def test_what_a_silence_that_is_ended_early_holds_is_notified_then():
    world = World(policy())
    world.take(silence(HOUR))
    assert world.take(opened(), now=MINUTE) == []
    assert world.take(silence(HOUR, ended_ms=5 * MINUTE), now=5 * MINUTE) == []
    assert world.tick(5 * MINUTE) == ["ops: nightly (production) failed"]


def test_a_silence_of_an_organization_is_about_its_projects():
    organizations = {1: 1, 2: 2}
    world = World(policy(), silences=Silences((), organizations.__getitem__))
    world.take(silence(HOUR, organization_id=2))
    assert world.take(opened("a", project=2), opened("b", project=1), now=MINUTE) == [
        "ops: b (production) failed"
    ]


def test_nobody_is_reminded_of_what_somebody_has_acknowledged():
    world = World(policy(remind_after_ms=HOUR))
    world.take(opened())
    world.take(event(acknowledged("nightly", who="ann")), now=MINUTE)
    assert world.tick(3 * HOUR) == []
    world.take(event(acknowledged("nightly", who="ann", is_acknowledged=False)), now=4 * HOUR)
    assert world.tick(5 * HOUR) == ["ops: nightly (production) still fails"]
    assert world.take(ended(), now=6 * HOUR) == ["ops: nightly (production) recovered"]


def test_an_incident_whose_monitor_is_deleted_is_ended_with_the_reason():
    world = World(policy())
    world.take(opened())
    [key] = world.planner.incidents
    world.planner.end(key, "the monitor or its environment was deleted", 5)
    assert world.tick(5) == ["ops: nightly (production): the monitor or its environment was deleted"]


def test_a_target_that_is_gone_from_the_routes_is_left_out():
    world = World(policy(size=1, default=("ops", "chat")))
    world.take(opened("a"), opened("b"), now=0)
    world.planner.policy = policy(default=("ops",))
    assert world.tick(MINUTE) == ["ops: 1 more incident opened within a minute"]
    assert world.take(ended("b"), now=MINUTE) == ["ops: b (production) recovered"]


def test_what_the_planner_knows_survives_being_stored():
    first = World(policy(size=2))
    first.take(*[opened(f"job-{number}") for number in range(5)], now=0)
    first.take(ended("job-0"), ended("job-3"), now=1)
    stored = {
        key: _decode_incident(msgspec.json.encode(each)) for key, each in first.planner.incidents.items()
    }
    windows = {key: _decode_window(msgspec.json.encode(each)) for key, each in first.planner._windows.items()}
    second = World(policy(size=2), incidents=stored, windows=windows)
    second.over = first.over
    for world in (first, second):
        world.sent.clear()
        world.take(ended("job-1"), opened("job-9"), now=2)
        world.tick(MINUTE)
        world.take(ended("job-4"), now=2 * MINUTE)
    assert first.sent == second.sent
    assert first.sent


def test_a_link_names_what_it_is_about():
    world = World(policy(link="https://ops.example/{project}/{slug}?in={environment}#{incident}"))
    one = opened("a/b c", project=7)
    world.take(one)
    assert world.sent[0].link == f"https://ops.example/7/a%2Fb%20c?in=production#{one.incident_id}"


def test_messages_that_are_no_event_of_ours_are_not_read():
    from cronwax.notify.events import UnreadableMessageError, read_event

    assert read_event(b'{"payload_type": "something_new"}') is None
    for wrong in (
        b"",
        b"[]",
        b"{",
        b'{"payload_type": 5}',
        b'{"payload_type": "occurrence"}',
        b"\xff",
        b"[" * 9999,
    ):
        with pytest.raises(UnreadableMessageError):
            read_event(wrong)


def test_a_message_of_an_earlier_release_is_read():
    body = msgspec.json.decode(failure())
    body["evidence_data"] = {}
    old = event(msgspec.json.encode(body))
    assert (old.status, old.expected_us, old.slug) == ("", None, "nightly")
    assert World(policy()).take(old) == ["ops: nightly (production) is failing"]
