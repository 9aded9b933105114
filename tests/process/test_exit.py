"""Errors at the border between the engine and ours: one line and an exit status, never a traceback."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

ENDS = """
import os, sys
from dataflow.process.exit import StartError, at_border

def fails():
    %s

at_border(fails)()
"""


@pytest.mark.parametrize(
    ("statement", "line", "status"),
    [
        (
            "os.open('gone/shard-000.duckdb', os.O_RDONLY)",
            "gone/shard-000.duckdb: No such file or directory",
            1,
        ),
        ("os.write(99, b'x')", "Bad file descriptor", 1),
        ("raise OSError('no space')", "no space", 1),
        ("raise StartError('no folder')", "no folder", 2),
    ],
)
def test_what_a_machine_refuses_is_one_line_and_a_status(tmp_path, statement, line, status):
    done = subprocess.run(
        [sys.executable, "-c", ENDS % statement],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stderr.splitlines()[0] == f"cronwax: {line}"
    assert "Traceback" not in done.stderr
