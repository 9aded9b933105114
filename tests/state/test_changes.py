"""What is left of changes between two commits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from state.write.changes import Changes

WIDTH, IDENTITY = 3, 2

letters = st.sampled_from("ab")
rows = st.one_of(
    st.tuples(letters),
    st.tuples(letters, letters),
    st.tuples(letters, letters, st.integers(0, 3)),
)


def applied_one_by_one(changes, table=()):
    left = {row[:IDENTITY]: row for row in table}
    for row in changes:
        if len(row) == WIDTH:
            left[row[:IDENTITY]] = row
        else:
            left = {key: kept for key, kept in left.items() if kept[: len(row)] != row}
    return left


def resolved(changes, table=()):
    log = Changes(WIDTH, IDENTITY)
    log.add(changes)
    deletes, upserts = log.resolve()
    assert len({row[:IDENTITY] for row in upserts}) == len(upserts)
    return applied_one_by_one([*deletes, *upserts], table)


@given(st.lists(rows, max_size=12))
def test_deletes_and_then_upserts_leave_what_all_changes_in_order_leave(changes):
    table = [("a", "a", 9), ("a", "b", 9), ("b", "a", 9), ("b", "b", 9)]
    assert resolved(changes, table) == applied_one_by_one(changes, table)


def test_the_last_row_of_an_identity_wins():
    assert list(resolved([("a", "a", 1), ("a", "a", 2)]).values()) == [("a", "a", 2)]


def test_a_long_log_is_shortened_without_losing_a_row():
    log = Changes(WIDTH, IDENTITY)
    for value in range(300):
        log.add([("a", number, value) for number in range(5_000)])
    assert len(log) <= 1_000_000
    assert log.resolve() == ([], [("a", number, 299) for number in range(5_000)])
