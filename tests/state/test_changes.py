"""What is left of changes between two commits."""

from __future__ import annotations

from typing import Annotated, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from state.schema.table import Row as TableRow
from state.schema.table import Spec, Table
from state.write.changes import Changes


class Row(TableRow, frozen=True):
    """Two letters, and a value."""

    TABLE: ClassVar = Spec("letters", identity=("second", "first"))

    first: Annotated[str, "One letter."]
    value: Annotated[int, "A number."]
    second: Annotated[str, "Another letter."]


def row(second, first, value):
    return Row(first, value, second)


def key(row):
    return row.second, row.first


letters = st.sampled_from("ab")
rows = st.one_of(
    st.tuples(letters),
    st.tuples(letters, letters),
    st.builds(row, letters, letters, st.integers(0, 3)),
)


def applied_one_by_one(changes, table=()):
    left = {key(row): row for row in table}
    for change in changes:
        if isinstance(change, Row):
            left[key(change)] = change
        else:
            left = {of: kept for of, kept in left.items() if of[: len(change)] != change}
    return left


def resolved(changes, table=()):
    log = Changes(Table(Row))
    for change in changes:
        if isinstance(change, Row):
            log.add([change])
        else:
            log.delete([change])
    deletes, upserts = log.resolve()
    assert len(set(map(key, upserts))) == len(upserts)
    return applied_one_by_one([*deletes, *upserts], table)


@given(st.lists(rows, max_size=12))
def test_deletes_and_then_upserts_leave_what_all_changes_in_order_leave(changes):
    table = [row(second, first, 9) for second in "ab" for first in "ab"]
    assert resolved(changes, table) == applied_one_by_one(changes, table)


def test_the_last_row_of_an_identity_wins():
    assert list(resolved([row("a", "a", 1), row("a", "a", 2)]).values()) == [row("a", "a", 2)]


def test_a_long_log_is_shortened_without_losing_a_row():
    log = Changes(Table(Row))
    for value in range(300):
        log.add([row("a", str(number), value) for number in range(5_000)])
    assert len(log) <= 1_000_000
    assert log.resolve() == ([], [row("a", str(number), 299) for number in range(5_000)])
