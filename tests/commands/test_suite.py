"""How the suite itself runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests.units import Units

def pytest_xdist_make_scheduler(config, log):
    return Units(config, log)
"""
TESTS = """
import os
import pytest

@pytest.mark.parametrize("number", range(30))
def test_one(number):
    if number == 7:
        os._exit(1)
"""


def test_a_worker_that_dies_costs_one_test_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_many.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 failed, 29 passed" in done.stdout
    assert "crashed while running 'test_many.py::test_one[7]'" in done.stdout
