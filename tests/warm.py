"""Short runs in processes that have imported everything already: forks, in which `python -m MODULE` goes on.

Most of a short run of the flow is the start of Python, its imports, and the making of empty tables. Where many runs are
compared with what they should leave, and the start is not in question, each is forked from a process that has done that
once. With CRONWAX_TEST_FULL=1 all of them are started as users start them.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import IO, Any, NamedTuple

from tests.examples import IS_FULL

PROJECT = Path(__file__).resolve().parent.parent
IMPORTED = (
    "dataflow.start",
    "dataflow.endpoints",
    "dataflow.flow",
    "dataflow.process.preflight",
    "pyarrow",
    "state.publish.shared_publish",
)
FLOW = ("bytewax.run", "dataflow:flow")
RUN_SECONDS = 120
"""A run that takes longer is ended, by SIGALRM."""


spent_s = 0.0
"""Processor seconds of runs so far: no children of the tests, so that nobody else counts them."""


class Run(NamedTuple):
    """How a run ended."""

    status: int
    out: str
    err: str


def run_flow_warm(variables: dict[str, str], *arguments: str) -> Run:
    """Run the flow with this environment, and these arguments beside its name, to its end."""
    return run_warm(variables, *FLOW, *arguments)


def run_warm(variables: dict[str, str], *command: str) -> Run:
    """Run a module and its arguments with this environment to its end."""
    if IS_FULL:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)
    return _server().run(variables, command)


class _Server:
    """The process that forks, one run after the other; it ends with the tests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._folder = TemporaryDirectory(prefix="cronwax-warm-")
        command, pipe = [sys.executable, "-m", "tests.warm"], subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)

    def run(self, variables: dict[str, str], command: tuple[str, ...]) -> Run:
        out, err = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        request = {"variables": variables, "command": command, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            out.write_bytes(b"")
            err.write_bytes(b"")
            print(json.dumps(request), file=self._process.stdin, flush=True)
            global spent_s
            status, cpu_s = self._process.stdout.readline().split()
            spent_s += float(cpu_s)
            return Run(int(status), out.read_text(errors="replace"), err.read_text(errors="replace"))


@cache
def _server() -> _Server:
    return _Server()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Fork for each request, and answer with the exit status. A fork comes back from here, to end as a process does."""
    for module in IMPORTED:
        import_module(module)
    import_module("tests.quick_database").install()
    del sys.modules["dataflow"].flow  # the module: else the package would not make the flow of this name
    gc.freeze()  # the collector does not look at it again, so that forks need no copy of it
    for line in requests:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(request)
            return
        _, status, used = os.wait4(pid, 0)
        print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, file=answers, flush=True)


def become(request: dict[str, Any]) -> None:
    """Be what is asked for, with a request's environment, arguments and output."""
    signal.alarm(RUN_SECONDS)
    os.environ.clear()
    os.environ.update(request["variables"])
    for number, path in enumerate((os.devnull, request["out"], request["err"])):
        file = os.open(path, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)
    sys.argv = request["command"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8"))
