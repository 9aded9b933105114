"""Data folders that the tests of commands ask, each made once."""

from __future__ import annotations

import pytest

from tests.commands.terminal import small_snapshot
from tests.processes import demo_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return small_snapshot(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def demo():
    """The demo's day."""
    return demo_data("day")


@pytest.fixture(scope="session")
def troubles():
    """The demo's two weeks of troubles."""
    return demo_data("troubles")
