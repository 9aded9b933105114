"""Which guids an environment still knows, by their fingerprints."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dataflow.monitors.environment import REMEMBERED_GUIDS, Environment, fingerprint

GUIDS = st.integers(0, 150).map(lambda number: UUID(int=number << 64 | number * 7919).bytes)


@given(st.lists(st.tuples(st.booleans(), GUIDS), max_size=200), st.lists(GUIDS, min_size=1, max_size=20))
def test_an_environment_knows_the_newest_of_each_kind(remembered, asked):
    environment = Environment.new("production")
    kinds: dict[bool, list[bytes]] = {False: [], True: []}
    for is_missed, guid in remembered:
        (environment.remember_missed if is_missed else environment.remember)(guid)
        kinds[is_missed].append(guid)
    known = {guid for kind in kinds.values() for guid in kind[-REMEMBERED_GUIDS:]}
    for guid in asked:
        assert environment.is_finished(guid) == (guid in known)
    assert {fingerprint(guid) for guid in known} == set(environment.prints())


def test_what_earlier_releases_stored_are_guids():
    old = [UUID(int=number).bytes for number in range(1, 4)]
    environment = Environment("production", finished=old[0] + old[1], missed=old[2])
    assert not environment.is_finished(old[0])
    environment.complete()
    assert all(map(environment.is_finished, old))
    assert (environment.finished, environment.missed) == (b"", b"")
    environment.complete()
    assert len(environment.prints()) == 3


def test_guids_of_any_making_have_fingerprints_of_their_own():
    """Counted up in either half or in both, by day and number, by the time (only the first half differs)."""
    made = [
        *(UUID(int=number) for number in range(1, 2_000)),
        *(UUID(int=number << 64) for number in range(1, 2_000)),
        *(UUID(int=number << 64 | number) for number in range(1, 2_000)),
        *(UUID(int=day << 64 | number) for day in range(100, 200) for number in range(2_000, 2_100)),
        *(UUID(fields=(number, 7, 0x1001, 128, 9, 0xFFFF_FFFF_FFFF)) for number in range(2_000)),
    ]
    assert len({fingerprint(guid.bytes) for guid in made}) == len({*made})
