"""Snapshots are decoded by several workers' threads at once, the first time together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import PROJECT

MEETING = '''
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import ModuleType

import msgspec

from dataflow.steps.snapshot_blocks import decoder

THREADS = 4
sys.setswitchinterval(1e-6)
together = Barrier(THREADS)
LAYOUT = """
from __future__ import annotations
import msgspec

class Inner(msgspec.Struct, array_like=True):
    number: int
    numbers: list[int]
    by_name: dict[str, int | None] = {}

class Layout(msgspec.Struct, array_like=True):
    first: Inner
    others: list[Inner]
    named: dict[str, Inner] = {}
"""


def decode(layout):
    together.wait()
    return decoder(layout)(msgspec.msgpack.encode([[1, [2]], [[3, [4]]]]))


with ThreadPoolExecutor(THREADS) as threads:
    for number in range(1_000):
        sys.modules["layout"] = module = ModuleType("layout")
        exec(LAYOUT, module.__dict__)
        for each in threads.map(decode, [module.Layout] * THREADS):
            assert (each.first.number, each.others[0].numbers) == (1, [4])
'''


@pytest.mark.process
def test_workers_that_first_decode_a_structure_at_the_same_time_do_not_crash():
    done = subprocess.run([sys.executable, "-c", MEETING], cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
