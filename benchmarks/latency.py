"""latency: from a check-in appended, or a deadline passed, to its message in the output topic."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks import live
from benchmarks.report import Figures, Report, interleaved

SIZE = 150
"""Seconds that are measured at each rate: two whole minutes must lie in them."""
RATES = ((100, 10_000), (1_000, 10_000), (10_000, 10_000), (8_000, 120_000), (8_000, 1_000_000))
"""Check-ins a second, and of how many monitors."""
_PROBES_A_SECOND = 50
_MISSING = 500
_SLICE_S = 0.01
_YEARLY = {"type": "crontab", "value": "0 0 1 1 *"}
_EVERY_MINUTE = {"type": "interval", "value": 1, "unit": "minute"}
_MADE_AT_ONCE = 50_000
"""Check-ins that make monitors, sent before the broker has them: the producer holds no more than twice as many."""
_MADE_SECONDS = 1_200
"""All monitors are made by then: a million of them take some minutes."""
_SETTLED_SECONDS = 5
"""So long after the minute in which all monitors are made begins what is measured."""


def run(size: int, runs: int) -> Report:
    """Check-ins at a steady rate; among them failures whose messages are timed, and jobs that fall silent.

    All monitors are there before: what making ten thousand of them at once costs is another matter.
    """
    report = Report("latency", size, runs)
    with TemporaryDirectory(prefix="cronwax-bench-") as name, live.broker() as bootstrap:
        folder = Path(name)
        contenders = {}
        for rate, monitors in RATES:
            contenders[_named(rate, monitors)] = _Contender(bootstrap, rate, monitors, size, folder)
        interleaved(report, contenders)
        for name, contender in contenders.items():
            longest = [f"{seconds:.2f} s {cause}" for seconds, cause in sorted(contender.pauses)[:-11:-1]]
            report.notes.append(f"{name}, the longest pauses: {', '.join(longest) or 'none above 0.25 s'}")
    for rate, monitors in RATES[2:]:
        name = _named(rate, monitors)
        aim = f"check-in to status change, {name}, ms, 99 %"
        bound = "below 500" if monitors < 1_000_000 else "below 1,000"
        report.aim(aim, report.figures[name]["change_p99_ms"], bound)
    return report


def _named(rate: int, monitors: int) -> str:
    return f"{rate:,}/s, {monitors:,} monitors"


class _Contender:
    def __init__(self, bootstrap: str, rate: int, monitors: int, seconds: int, folder: Path) -> None:
        self._bootstrap, self._rate, self._seconds, self._folder = bootstrap, rate, seconds, folder
        self._monitors = monitors
        self.pauses: list[tuple[float, str]] = []
        self._runs = 0

    def __call__(self) -> Figures:
        self._runs += 1
        topics = live.make_topics(self._bootstrap, f"{self._rate}-{self._monitors}-{self._runs}")
        place = self._folder / "run"
        # The probes are monitors too, each its own: with a million others they were over the limit.
        limit = self._monitors + 1_000_000
        settings = {"rate_limit": "1000000", "max_monitors_per_organization": str(limit)}
        processes = live.Processes(place, self._bootstrap, topics, 1, **settings)
        arrivals = live.Arrivals(self._bootstrap, topics["occurrences_topic"])
        traffic = _Traffic(self._bootstrap, topics["checkins_topic"], self._monitors)
        try:
            traffic.send("ready", "error")
            arrivals.wait({"ready"}, processes, live.START_SECONDS)
            traffic.make_all()
            traffic.send("made", "error")
            arrivals.wait({"made"}, processes, _MADE_SECONDS)
            traffic.settle(self._rate)
            due_s = traffic.fall_silent()
            sent = traffic.run(self._rate, self._seconds)
            traffic.flush()
            arrivals.wait(set(sent), processes, 60)
            behind_s = time.time() - traffic.ended_s
            silent = {f"silent-{number}" for number in range(_MISSING)}
            if self._seconds >= SIZE:
                arrivals.wait(silent, processes, 120)
        finally:
            arrivals.close()
            processes.stop()
            self.pauses += processes.pauses()
            shutil.rmtree(place)
        changes = [arrivals.seen[slug] - at_s for slug, at_s in sent.items()]
        misses = [arrivals.seen[slug] - due_s for slug in silent & arrivals.seen.keys()]
        return {
            "sent_per_s": traffic.count / (traffic.ended_s - traffic.began_s),
            **_spread("change", changes),
            **(_spread("miss", misses) if misses else {}),
            "behind_at_end_s": behind_s,
        }


def _spread(name: str, seconds: list[float]) -> Figures:
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        f"{name}_p50_ms": ordered[round(last * 0.5)] * 1e3,
        f"{name}_p99_ms": ordered[round(last * 0.99)] * 1e3,
        f"{name}_max_ms": ordered[last] * 1e3,
    }


class _Traffic:
    """Sends check-ins as they would come, at their own time."""

    def __init__(self, bootstrap: str, topic: str, monitors: int) -> None:
        self._monitors = monitors
        self._producer = live.producer(bootstrap)
        self._topic = topic
        self._number = 0
        self.count = 0
        self.began_s = self.ended_s = 0.0

    def send(self, slug: str, status: str, schedule: dict[str, Any] = _YEARLY) -> float:
        """One check-in of a monitor; when it was sent."""
        self._number += 1
        now = time.time()
        body = {
            "check_in_id": f"{self._number:032x}",
            "monitor_slug": slug,
            "status": status,
            "monitor_config": {"schedule": schedule},
        }
        value = live.packed(msgspec.json.encode(body), 1, now)
        self._producer.produce(self._topic, value, partition=live.partition_of(slug))
        return now

    def make_all(self) -> None:
        """Make all monitors."""
        for number in range(self._monitors):
            if number % _MADE_AT_ONCE == 0:
                self.flush()
            self.send(f"job-{number}", "ok")

    def settle(self, rate: int) -> None:
        """Go on until the event clock has left the minute in which monitors were made."""
        self.run(rate, 60 - time.time() % 60 + _SETTLED_SECONDS, probes_a_second=0)
        self.flush()

    def fall_silent(self) -> float:
        """Monitors that run every minute, and do not any more; when they are missed (seconds since the epoch)."""
        while time.time() % 60 > 50:
            time.sleep(0.1)  # all within one minute
        for number in range(_MISSING):
            sent_s = self.send(f"silent-{number}", "ok", _EVERY_MINUTE)
        self.flush()
        return (sent_s // 60 + 2) * 60  # a minute to the next one, a minute of margin

    def run(self, rate: int, seconds: float, probes_a_second: int = _PROBES_A_SECOND) -> dict[str, float]:
        """Send for so long; the probes among them, by slug, and when each was sent."""
        sent: dict[str, float] = {}
        self.count = 0
        self.began_s = time.time()
        elapsed = 0.0
        while elapsed < seconds:
            while len(sent) < elapsed * probes_a_second:
                slug = f"probe-{len(sent)}"
                sent[slug] = self.send(slug, "error")
            while self.count < elapsed * rate:
                self.send(f"job-{self.count % self._monitors}", "ok")
                self.count += 1
            self._producer.poll(0)
            time.sleep(_SLICE_S)
            elapsed = time.time() - self.began_s
        self.ended_s = time.time()
        return sent

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._producer.flush(60)
