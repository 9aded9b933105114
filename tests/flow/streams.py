"""Random streams of check-ins, controls and clock jumps (hypothesis strategies)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.builders import check_in, control, guid, pulse

SCHEDULES: list[dict[str, Any]] = [
    {"schedule": {"type": "crontab", "value": "*/5 * * * *"}, "max_runtime": 3},
    {
        "schedule": {"type": "crontab", "value": "0 * * * *"},
        "checkin_margin": 4,
        "failure_issue_threshold": 2,
    },
    {"schedule": {"type": "interval", "value": 7, "unit": "minute"}, "recovery_threshold": 2},
    {
        "schedule": {"type": "interval", "value": 1, "unit": "hour"},
        "max_runtime": 20,
        "recovery_threshold": 3,
    },
    {"schedule": {"type": "crontab", "value": "30 2 * * *"}, "timezone": "Europe/Vienna"},
]
NIL = guid(0)


@st.composite
def _check_in(draw: st.DrawFn, at_s: float, slugs: list[str]) -> dict[str, Any]:
    slug = draw(st.sampled_from(slugs))
    body: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        body["environment"] = draw(st.sampled_from(["dev", "a/b"]))
    if draw(st.integers(0, 4)) == 0:
        body["duration"] = draw(st.sampled_from([0.5, 45, 400]))
    config = draw(st.sampled_from(SCHEDULES)) if draw(st.integers(0, 3)) == 0 else None
    number = draw(st.integers(0, 12))
    late_s = draw(st.sampled_from([0, 0, 0, 0, 20, 90, 700]))
    line = check_in(
        at_s,
        slug,
        draw(st.sampled_from(["ok", "ok", "error", "in_progress", "in_progress"])),
        start_s=max(at_s - late_s, -86_400),
        config=config,
        **body,
    )
    payload = line["message"]["payload"]
    wanted = NIL if number == 0 else guid(number + 1000 * sum(map(ord, slug)))
    line["message"]["payload"] = payload.replace(guid(1), wanted)
    return line


@st.composite
def _control(draw: st.DrawFn, at_s: float, slugs: list[str]) -> dict[str, Any]:
    names = {"project_id": 1, "monitor_slug": draw(st.sampled_from(slugs))}
    kind = draw(st.integers(0, 5))
    if kind <= 1:
        return control(at_s, "set_monitor_status", **names, status=("disabled", "active")[kind])
    if kind == 2:
        return control(at_s, "mute", **names, muted=draw(st.booleans()))
    if kind == 3:
        return control(at_s, "mute", **names, environment="production", muted=draw(st.booleans()))
    if kind == 4:
        return control(at_s, "upsert_monitor", **names, monitor_config=draw(st.sampled_from(SCHEDULES)))
    return control(at_s, "delete_monitor", **names, **draw(st.sampled_from([{}, {"environment": "dev"}])))


@st.composite
def streams(
    draw: st.DrawFn, slugs: list[str], size: int = 30, span_s: int = 900
) -> list[dict[str, Any] | str]:
    """The lines of one partition, ordered by time: each monitor is created first."""
    lines: list[dict[str, Any] | str] = [
        check_in(0, slug, number=7000 + index, config=draw(st.sampled_from(SCHEDULES)))
        for index, slug in enumerate(slugs)
    ]
    at_s = 0.0
    for _ in range(draw(st.integers(1, size))):
        at_s += draw(st.sampled_from([0, 1, 5, 30, 60, 61, 300, span_s, 4 * span_s]))
        kind = draw(st.integers(0, 9))
        if kind <= 6:
            lines.append(draw(_check_in(at_s, slugs)))
        elif kind == 7:
            lines.append(pulse(at_s))
        elif kind == 8:
            lines.append(draw(_control(at_s, slugs)))
        else:
            lines.append("{no message")
    return lines


def batchings() -> st.SearchStrategy[list[int]]:
    """Sizes of batches; 0 lets others go first."""
    return st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 7]), max_size=40)
