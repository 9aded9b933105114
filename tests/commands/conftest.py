"""Data folders that the tests of commands ask, each made once."""

from __future__ import annotations

import subprocess

import pytest

from tests.commands.terminal import COMMAND, small_snapshot, variables
from tests.processes import PROJECT


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return small_snapshot(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo's day."""
    return _demo(tmp_path_factory.mktemp("demo"), "day")


@pytest.fixture(scope="session")
def troubles(tmp_path_factory):
    """The demo's two weeks of troubles."""
    return _demo(tmp_path_factory.mktemp("troubles"), "troubles")


def _demo(folder, story):
    command = [*COMMAND, "demo", story, "--data-dir", str(folder)]
    subprocess.run(command, cwd=PROJECT, env=variables(folder), capture_output=True, check=True)
    return folder
