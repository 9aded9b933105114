"""silence: days of misses that come due at once: memory, time, and how soon a stop is obeyed in the middle of it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from benchmarks.contender import Failed
from benchmarks.inputs import START_S
from benchmarks.report import Figures, Report, interleaved
from dataflow.process.recovery_store import make

SIZE = 200
"""Monitors that are expected every minute."""
_DAYS = 3
_LONG_DAYS = 31
_DAY_S = 86_400
_CONFIG = {"schedule": {"type": "crontab", "value": "* * * * *"}, "failure_issue_threshold": 3}
_EPOCH_SECONDS = 10
_DEADLINE_S = 3_600


def run(size: int, runs: int) -> Report:
    """Monitors that report once and fall silent; then the end of the file, or a check-in of each, or of one of them.

    Each case runs to its end, and once more up to a SIGTERM in the middle and from there to the end.
    """
    report = Report("silence", size, runs)
    names = [f"job-{number}" for number in range(size)]
    with TemporaryDirectory(prefix="cronwax-bench-") as name:
        folder = Path(name)
        cases = {
            f"{_DAYS} days, then the end of the file": _case(folder, names, _DAYS, [_pulse(_DAYS)]),
            f"{_DAYS} days, then a check-in of each": _case(
                folder, names, _DAYS, [_check_in(slug, _DAYS) for slug in names]
            ),
            f"{_LONG_DAYS} days, then a check-in of one": _case(
                folder, names[:1], _LONG_DAYS, [_check_in(names[0], _LONG_DAYS)]
            ),
        }
        interleaved(report, cases)
    worst = report.figures.values()
    report.aim("peak, MB", max(each["peak_mb"] for each in worst), "below 1,000")
    report.aim("SIGTERM obeyed after, s", max(each["stop_s"] for each in worst), "below 5")
    return report


def _case(folder: Path, slugs: list[str], days: int, then: list[dict[str, Any]]) -> Callable[[], Figures]:
    lines = [*(_check_in(slug, 0) for slug in slugs), *then]

    def one_run() -> Figures:
        place = folder / "run"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        _write(place / "checkins.jsonl", lines)
        make(place / "store", 1)
        peak_mb, seconds = _flow(place, None)
        missed = _missed(place)
        if missed < len(slugs) * (days * 1_440 - 5):
            raise Failed(f"{missed:,} misses of {len(slugs)} monitors in {days} days")
        shutil.rmtree(place / "store")
        shutil.rmtree(place / "data")
        make(place / "store", 1)
        _, stop_s = _flow(place, seconds / 2)
        _flow(place, None)
        if _missed(place) != missed:
            raise Failed(f"{missed:,} misses, and with a stop in between {_missed(place):,}")
        return {"misses": missed, "seconds": seconds, "peak_mb": peak_mb, "stop_s": stop_s}

    return one_run


def _flow(place: Path, stop_after_s: float | None) -> tuple[float, float]:
    """Run the flow. Its peak memory in MB, and seconds to its end: from its start, or from a SIGTERM that it gets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRONWAX_")}
    environment |= {
        "CRONWAX_SOURCE": "file",
        "CRONWAX_CHECKINS_PATH": str(place / "checkins.jsonl"),
        "CRONWAX_DATA_DIR": str(place / "data"),
    }
    command = [sys.executable, "-m", "bytewax.run", "dataflow:flow", "-r", str(place / "store")]
    command += ["-s", str(_EPOCH_SECONDS), "-b", "0"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    began = time.monotonic()
    if stop_after_s is not None:
        time.sleep(stop_after_s)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"status {process.returncode}: {(place / 'log').read_text()[-1500:]}")
    return _peak_mb(used), seconds


def _peak_mb(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024


def _missed(place: Path) -> int:
    with duckdb.connect(str(place / "data" / "monitors.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM check_ins WHERE status = 'missed'").fetchone()
    assert found is not None
    return int(found[0])


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _pulse(days: float) -> dict[str, Any]:
    return {"ts": START_S + days * _DAY_S, "message": {"message_type": "clock_pulse"}}


def _check_in(slug: str, days: float) -> dict[str, Any]:
    at_s = START_S + days * _DAY_S
    guid = f"{int(slug.removeprefix('job-')) + 1:016x}{int(at_s):016x}"
    payload = {"check_in_id": guid, "monitor_slug": slug, "status": "ok", "monitor_config": _CONFIG}
    message = {
        "message_type": "check_in",
        "payload": json.dumps(payload),
        "start_time": at_s,
        "project_id": 1,
        "sdk": None,
        "retention_days": 90,
    }
    return {"ts": at_s, "message": message}
