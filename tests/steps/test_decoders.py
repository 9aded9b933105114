"""Workers are threads that may first decode a structure together, which msgspec does not survive: decoders are made at
import, in one thread."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.processes import PROJECT

MAKERS = {"Decoder", "convert", "block_decoder", "SnapshotCodec"}
"""What looks through a structure's fields."""
CODECS = "dataflow/stream/codecs.py"


def made_in_functions(path):
    """The lines of a file in which a function, when called, makes a decoder of a structure."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = [(getattr(call.func, "attr", getattr(call.func, "id", "")), call) for call in calls]
    return [
        call.lineno
        for name, call in names
        if name in MAKERS or (name == "decode" and any(keyword.arg == "type" for keyword in call.keywords))
    ]


def test_no_function_makes_a_decoder():
    found = {
        path.relative_to(PROJECT).as_posix(): lines
        for path in sorted((PROJECT / "dataflow").rglob("*.py"))
        if (lines := made_in_functions(path))
    }
    found.pop(CODECS)  # what it offers is to be called at import
    found.pop("dataflow/settings.py", None)  # read before there are workers
    assert found == {}


MEETING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from dataflow.monitors.organization import Limits
from dataflow.steps.gate import Gate
from dataflow.steps.sample import Sample
from dataflow.steps.transition import Transition
from dataflow.steps.upsert import Upsert
from dataflow.steps.volume import Judge
from dataflow.stream.inputs import Inputs

THREADS = 4
sys.setswitchinterval(1e-6)
together = Barrier(THREADS)
MAKE = (
    lambda snapshot: Gate(1, Inputs(["input"]), Limits(9, -1), 6, False, snapshot),
    lambda snapshot: Upsert(1, 9, snapshot),
    lambda snapshot: Sample(0.0, lambda: True, snapshot),
    lambda snapshot: Judge(1, 1, None, snapshot),
    lambda snapshot: Transition(False, lambda: True, snapshot),
)
SNAPSHOTS = [make(None).snapshot() for make in MAKE]


def resume(_):
    together.wait()
    return [make(snapshot).snapshot() for make, snapshot in zip(MAKE, SNAPSHOTS)]


with ThreadPoolExecutor(THREADS) as threads:
    assert all(each == SNAPSHOTS for each in threads.map(resume, range(THREADS)))
"""


@pytest.mark.process
def test_workers_that_first_read_snapshots_at_the_same_time_do_not_crash():
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", MEETING], cwd=PROJECT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
