"""What the people on call got, against what the jobs did."""

from __future__ import annotations

from dataclasses import dataclass

from dataflow.monitors.identity import missed_guid
from tests.simulation.fleet import PROJECTS, Job, Plan, epoch_minute
from tests.simulation.watch import MINUTE_US, Watched


@dataclass(frozen=True)
class Verdict:
    """Figures of one simulation."""

    false_alarms: int
    """Misses and time-outs told of runs that happened and ended."""
    true_failures: int
    """Runs of known monitors that did not happen, or did not end."""
    told: int
    """Those of them that were told."""
    lost: int
    """Those of them that are unknown, as a system incident lay over them."""
    silent_failures: int
    """Runs of the silent project that did not happen while it was silent."""
    silent_told: int
    """Those of them that were told."""
    longest_wait: int
    """The most minutes between the tick of a failure and its message."""
    pending_ticks: int
    """Ticks that were not decided at once."""
    system_incidents: list[tuple[int, int, int | None]]
    """Day, first minute of that day, minutes."""


def judge(plan: Plan, watched: Watched, jobs: list[Job], from_day: int) -> Verdict:
    """Compare; only what was due from a day on, and long enough before the end to be told."""
    start, end = epoch_minute(from_day) + 60, epoch_minute(plan.days) - 60
    fine = {guid for job in jobs for guid in _false_guids(job)}
    failures = {
        guid: job for job in jobs for minute, guid in _failures(job, start - 60) if start <= minute < end
    }
    silent_start = epoch_minute(plan.silent.day) + plan.silent.start_minute
    silent = [
        missed_guid(job.project_id, job.slug, "production", minute)
        for job in jobs[plan.silent_project :: PROJECTS]
        for minute in job.skipped
        if 0 <= minute - silent_start < plan.silent.minutes
    ]
    waits = [told - detected for detected, told, kind in watched.messages.values() if kind != "error"]
    return Verdict(
        sum(guid in fine for guid, (_, _, kind) in watched.messages.items() if kind != "error"),
        len(failures),
        sum(guid in watched.messages for guid in failures),
        sum(watched.check_ins.get(guid, {}).get("status") == "unknown" for guid in failures),
        len(silent),
        sum(guid in watched.messages for guid in silent),
        max(waits),
        sum(row["decided_at"] != row["minute"] for row in watched.ticks.values()),
        [_span(plan, row) for row in watched.spans.values()],
    )


def _false_guids(job: Job) -> list[bytes]:
    """The guids under which a run that happened would be told as missed, or one that ended as timed out."""
    guids = [guid for guid in job.ran.values() if guid not in job.hung]
    return guids + [missed_guid(job.project_id, job.slug, "production", minute) for minute in job.ran]


def _failures(job: Job, from_minute: int) -> list[tuple[int, bytes]]:
    """The runs that did not happen or did not end, once the first one from that minute on made the monitor known."""
    first = min((minute for minute in job.ran if minute >= from_minute), default=0)
    skipped = [minute for minute in job.skipped if minute > first]
    missed = [(minute, missed_guid(job.project_id, job.slug, "production", minute)) for minute in skipped]
    return missed + [(minute, guid) for minute, guid in job.ran.items() if guid in job.hung]


def _span(plan: Plan, row: dict[str, int | None]) -> tuple[int, int, int | None]:
    assert row["start"] is not None
    start = row["start"] // MINUTE_US
    day, minute = divmod(start - epoch_minute(0), 1440)
    return day, minute, row["end"] // MINUTE_US - start if row["end"] is not None else None
