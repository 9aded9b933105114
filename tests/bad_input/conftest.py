"""Places for the cases of this folder."""

from __future__ import annotations

import shutil

import pytest

from tests.bad_input.places import Place, assert_fine
from tests.processes import make_store, run_warm


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A place where a run with a recovery store has come to its end; only to be copied."""
    place = Place(tmp_path_factory.mktemp("finished") / "place")
    store = make_store(place.folder / "store")
    assert_fine(run_warm(place.settings(), "-r", store, "-s", 0, "-b", 0))
    return place.folder


@pytest.fixture
def resumable(finished, tmp_path):
    """A place of this test's own where a run has come to its end, and the arguments to resume it."""
    shutil.copytree(finished, tmp_path / "place")
    return Place(tmp_path / "place")
