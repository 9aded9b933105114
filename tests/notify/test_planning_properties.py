"""Routing, storms and order against naive models, over random events with random times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cronwax.notify.events import KINDS, Event, Kind
from cronwax.notify.notification import Notification
from cronwax.notify.plan import Incident
from cronwax.notify.planning import Planner
from cronwax.notify.policy import Policy, Traits
from cronwax.notify.routes import Route, Routes, Subject
from cronwax.notify.silences import Silences
from cronwax.notify.storms import MINUTE_MS, Window
from dataflow.monitors.silences import MAINTENANCE, Silence
from dataflow.monitors.times import Microseconds
from tests.examples import examples
from tests.notify.messages import ended, opened

some_settings = settings(max_examples=examples(150), deadline=None, print_blob=True)

# --- routing

words = st.text("ab-", min_size=1, max_size=3)
globs = st.text("ab-*?", min_size=1, max_size=3)
kinds = st.sampled_from(KINDS)
targets = st.sampled_from(["x", "y", "z"])


@st.composite
def routes(draw, name: str) -> Route:
    return Route(
        name,
        tuple(draw(st.lists(targets, min_size=1, max_size=3, unique=True))),
        draw(st.none() | st.frozensets(st.integers(1, 3), min_size=1)),
        tuple(draw(st.lists(globs, max_size=2))),
        tuple(draw(st.lists(globs, max_size=2))),
        tuple(draw(st.lists(globs, max_size=2))),
        draw(st.frozensets(kinds, min_size=1)),
        draw(st.booleans()),
    )


subjects = st.builds(Subject, kinds, st.integers(1, 3), words, words, st.none() | words) | st.builds(
    Subject, st.sampled_from(["system_incident", "stalled"])
)


def fits(glob: str, text: str) -> bool:
    """A glob of `*` and `?`, letter by letter."""
    if not glob:
        return not text
    if glob[0] == "*":
        return fits(glob[1:], text) or (bool(text) and fits(glob, text[1:]))
    return bool(text) and glob[0] in ("?", text[0]) and fits(glob[1:], text[1:])


def wants(route: Route, subject: Subject) -> bool:
    asks = [
        (route.slugs, subject.slug),
        (route.environments, subject.environment),
        (route.owners, subject.owner),
    ]
    asks = [(globs, text) for globs, text in asks if globs]
    if subject.kind not in route.kinds:
        return False
    if subject.project_id is None and (asks or route.projects is not None):
        return False
    if route.projects is not None and subject.project_id not in route.projects:
        return False
    return all(text is not None and any(fits(glob, text) for glob in globs) for globs, text in asks)


@some_settings
@given(st.data(), st.integers(0, 4), st.booleans(), subjects)
def test_who_is_notified_is_what_the_rules_say(data, count, has_default, subject):
    given_routes = [data.draw(routes(f"route-{number}")) for number in range(count)]
    default = data.draw(routes("default")) if has_default else None
    expected: dict[str, str] = {}
    matching = [route for route in given_routes if wants(route, subject)]
    ends = [index for index, route in enumerate(matching) if not route.goes_on]
    if ends:
        matching = matching[: ends[0] + 1]
    elif default is not None and wants(default, subject):
        matching.append(default)
    for route in matching:
        for target in route.targets:
            expected.setdefault(target, route.name)
    chosen = Routes(tuple(given_routes), default).choose(subject)
    assert {choice.target: choice.route.name for choice in chosen} == expected
    assert len(chosen) == len(expected)


# --- silences


@st.composite
def silence_of(draw) -> Silence:
    start, length = draw(st.integers(0, 20)), draw(st.integers(1, 20))
    return Silence(
        draw(st.sampled_from("abcdef")),
        MAINTENANCE,
        draw(st.integers(1, 2)),
        Microseconds(0),
        Microseconds(start * 1_000),
        length * 1_000,
        draw(st.none() | st.integers(1, 3)),
        *(draw(st.none() | globs) for _ in range(3)),
    )


@some_settings
@given(
    st.lists(silence_of(), max_size=5, unique_by=lambda silence: silence.id),
    st.integers(0, 40),
    st.integers(1, 3),
    words,
    words,
    st.none() | words,
)
def test_an_event_is_silenced_by_the_one_that_ends_last_of_those_that_fit(
    silences, now, project, slug, environment, owner
):
    event = msgspec.structs.replace(opened(slug, project=project, environment=environment), owner=owner)
    organization = 1 if project < 3 else 2
    fitting = []
    for each in silences:
        texts = [(each.slug, slug), (each.environment, environment), (each.owner, owner or "")]
        end = each.start_us + each.duration_us
        if each.project_id not in (None, project) or not (each.start_us <= now * 1_000 < end):
            continue
        if each.project_id is None and each.organization_id != organization:
            continue
        if all(glob is None or fits(glob, text) for glob, text in texts):
            fitting.append((end, each.id))
    found = Silences(silences, lambda project_id: 1 if project_id < 3 else 2).holding(event, now)
    assert (found.id if found else None) == max(fitting, default=(0, None))[1]


# --- storms


def naive_storm(times: list[int], size: int) -> tuple[list[int], list[list[int]]]:
    """Indexes of those that are sent one by one, and those of each digest."""
    single: list[int] = []
    digests: list[list[int]] = []
    left = list(enumerate(times))
    while left:
        start = left[0][1]
        minute = [index for index, at in left if at < start + MINUTE_MS]
        single += minute[:size]
        if minute[size:]:
            digests.append(minute[size:])
        left = left[len(minute) :]
        while len(minute) > size:  # a storm goes on, minute by minute
            start += MINUTE_MS
            minute = [index for index, at in left if at < start + MINUTE_MS]
            if minute:
                digests.append(minute)
            left = left[len(minute) :]
    return single, digests


gaps = st.lists(
    st.sampled_from([0, 0, 0, 1, 500, 5_000, 20_000, 59_999, 60_000, 60_001, 200_000]), max_size=60
)


@some_settings
@given(gaps, st.integers(1, 5), st.lists(st.integers(0, 90_000), max_size=20))
def test_a_storm_is_notified_as_the_naive_model_says(gaps, size, ticks):
    times, at = [], 0
    for gap in gaps:
        at += gap
        times.append(at)
    planner = Planner(Policy(Routes((), Route("default", ("ops",))), {"ops": Traits()}, storm_size=size))
    moments = sorted([(at, 1, index) for index, at in enumerate(times)] + [(at, 0, 0) for at in ticks])
    sent: list[Notification] = []
    for at, is_event, index in moments:
        if is_event:
            planner.take(opened(f"job-{index}"), at)
        else:
            planner.tick(at)
        sent += planner.take_plan().notifications
    for _ in range(3):
        planner.tick(max(times, default=0) + 3 * MINUTE_MS)
    sent += planner.take_plan().notifications
    single = [slug_index(each.event.slug) for each in sent if each.event is not None]
    digests = [[slug_index(member.slug) for member in each.members] for each in sent if each.digest_of]
    assert (single, digests) == naive_storm(times, size)


def slug_index(slug: str) -> int:
    return int(slug.partition("-")[2])


# --- once, and in order

TRAITS = {
    "chat": Traits(),
    "alerts": Traits(groups=True, takes_notes=False, has_state=True),
    "pager": Traits(takes_notes=False, has_state=True),
}
everything = Policy(
    Routes((), Route("default", tuple(TRAITS))), TRAITS, storm_size=2, remind_after_ms=150_000
)

steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        st.sampled_from(["fails", "fails", "recovers"]),
        st.sampled_from([0, 0, 1, 10_000, 30_000, 60_000, 150_000]),
        st.booleans(),
    ),
    max_size=60,
)
"""Which job, what happens to it, how many ms later, and whether the planner is stored and read again before that."""


def stored(planner: Planner, over: set[str]) -> Planner:
    def again(each: Mapping, kind: type) -> dict:
        return {
            key: msgspec.json.decode(msgspec.json.encode(value), type=kind) for key, value in each.items()
        }

    return Planner(
        planner.policy,
        again(planner.incidents, Incident),
        again(planner._windows, Window),
        was_ended=over.__contains__,
    )


def events_of(given_steps: Iterable[tuple[str, str, int, bool]]) -> list[tuple[int, Event, bool]]:
    """Events with their times, as the flow would send them: a recovery only of what fails."""
    numbers: Counter[str] = Counter()
    failing: Counter[str] = Counter()
    now, found = 0, []
    for slug, what, gap, is_stored in given_steps:
        now += gap
        if what == "fails":
            if not failing[slug]:
                numbers[slug] += 1
            event = opened(slug, numbers[slug], now / 1000, again=failing[slug])
            failing[slug] += 1
        elif failing[slug]:
            event = ended(slug, numbers[slug], at_s=now / 1000)
            failing[slug] = 0
        else:
            continue
        found.append((now, event, is_stored))
    return found


@some_settings
@given(steps)
def test_each_incident_is_notified_once_and_in_order_to_each_target(given_steps):
    over: set[str] = set()
    planner = Planner(everything, was_ended=over.__contains__)
    sent: list[Notification] = []
    events = events_of(given_steps)

    def keep() -> None:
        plan = planner.take_plan()
        over.update(plan.ended)
        sent.extend(plan.notifications)

    for now, event, is_stored in events:
        if is_stored:
            planner = stored(planner, over)
        planner.tick(now)
        planner.take(event, now)
        keep()
    end = max((now for now, _, _ in events), default=0)
    for minute in range(1, 4):
        planner.tick(end + minute * MINUTE_MS)
    keep()
    assert len({each.key for each in sent}) == len(sent)
    keys = {event.key for _, event, _ in events}
    still_open = keys - {event.key for _, event, _ in events if event.does == "ends"}
    for target, traits in TRAITS.items():
        to_target = [each for each in sent if each.target == target]
        said = said_of(to_target)
        # Where a digest is closed as one, an end in it is not sent before the last one.
        open_digests = [each for each in to_target if still_open & {member.key for member in each.members}]
        waits = (
            {member.key for each in open_digests for member in each.members} if traits.has_state else set()
        )
        for key in keys:
            is_over = key not in still_open and key not in waits
            heard = [what for what in said.get(key, []) if what != "reminds"]
            assert heard in (["opens", "ends"] if is_over else ["opens"], ["opens and is over"])
            assert heard == ["opens"] or key not in still_open
            if said.get(key, [])[-1] == "reminds":
                assert not is_over


def said_of(sent: list[Notification]) -> dict[str, list[str]]:
    """What was said of each incident, in order. The end of a digest ends all in it that had no end of their own."""
    said: dict[str, list[str]] = {}
    members: dict[str, list[str]] = {}
    for each in sent:
        if each.digest_of is not None:
            members[each.key] = [member.key for member in each.members]
            for member in each.members:
                what = "opens and is over" if member.is_over and each.digest_of == "opens" else each.digest_of
                said.setdefault(member.key, []).append(what)
        elif each.event is not None:
            said.setdefault(each.event.key, []).append(each.does)
        else:
            for key in members[each.thread]:
                if said[key][-1] == "opens":
                    said[key].append("ends")
    return said


def test_the_kinds_are_those_that_routes_know():
    assert Kind.__args__ == KINDS  # type: ignore[attr-defined]
