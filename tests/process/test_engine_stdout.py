"""What the engine repeats while a process of the cluster is missing comes out once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import PROJECT

ENGINE = r"""
import os
from dataflow.process.engine_stdout import report_missing
report_missing(["a:1", "b:2", "c:3"])
for _ in range(3):
    for process in (1, 2):
        os.write(1, b"worker 0:\terror connecting to worker %d: refused; retrying\n" % process)
    os.write(1, b"something else\n")
print("Python's own", flush=True)
"""


@pytest.mark.process
def test_who_is_waited_for_is_named_once_and_all_else_passes():
    done = subprocess.run([sys.executable, "-c", ENGINE], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "waiting for process 1 at b:2: refused",
        "waiting for process 2 at c:3: refused",
    ]
    assert sorted(done.stdout.splitlines()) == ["Python's own", *["something else"] * 3]
