"""Most tests here write a few rows into new tables; those of the tables themselves make them anew each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import quick_database

MADE_BY_THE_WRITER = ("test_writer_disk", "test_layout", "test_answers_installed")
"""The modules in which nothing is copied."""


@pytest.fixture(scope="module", autouse=True)
def copied_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] not in MADE_BY_THE_WRITER:
            quick_database.install(patch.setattr)
        yield
