"""Machines for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.intake.running import Machine


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def machines(tmp_path):
    """Makes machines with settings of their own."""
    made: list[Machine] = []

    def make(**settings: object) -> Machine:
        made.append(Machine(tmp_path / f"machine-{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
