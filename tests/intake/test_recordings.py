"""214 requests of real clients, and what must become of each (recordings.jsonl; docs/intake.md says where from)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cronwax.intake.outcome import Outcome
from cronwax.intake.projects import Projects
from cronwax.intake.routes import Request, handle
from dataflow.monitors.fields import slugify
from dataflow.projects import parse_projects

RECORDINGS = Path(__file__).parent / "recordings.jsonl"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "clients" / "recordings"
KEY = "0123456789abcdef0123456789abcdef"
PING_KEY = "fqOOd6-F4MMNuCEnzTU01w"
TELEMETRY_KEY = "0123456789abcdef"
START_TIME = 1_795_630_801
CONSTANTS = {"type": "check_in", "message_type": "check_in", "retention_days": 90}


def _recordings() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDINGS.read_text().splitlines()]


def _checks(recordings: list[dict[str, Any]]) -> dict[str, str]:
    """Every check's UUID that was pinged, as a slug of its own."""
    uuids = {recording["path"].split("/")[2].partition("?")[0].lower() for recording in recordings}
    return {uuid: uuid for uuid in uuids if len(uuid) == 36}


ALL = _recordings()
PINGED = [recording for recording in ALL if recording["path"].startswith("/ping/")]
PROJECTS = Projects(
    parse_projects(
        json.dumps(
            {"42": {"keys": [KEY], "ping_keys": [PING_KEY, TELEMETRY_KEY], "checks": _checks(PINGED)}}
        ).encode()
    )
)


def _outcome(recording: dict[str, Any]) -> Outcome:
    path, _, query = recording["path"].partition("?")
    headers = {name.lower(): value for name, value in recording["headers"].items()}
    body = base64.b64decode(recording["body_base64"])
    return handle(Request(recording["method"], path, query, headers, body, START_TIME), PROJECTS)


def _is_config_kept(recording: dict[str, Any]) -> bool:
    return any("pass it on with the config" in each for each in recording["expect"].get("suggest", ()))


@pytest.mark.parametrize("recording", ALL, ids=lambda recording: str(recording["name"]))
def test_a_recorded_request_gets_its_answer_messages_and_drops(recording: dict[str, Any]) -> None:
    expect, outcome = recording["expect"], _outcome(recording)
    if _is_config_kept(recording):
        _is_handed_on_with_its_config(recording, outcome)
        return
    assert outcome.status == expect["status"]
    if "response" in expect:
        body = outcome.body.decode()
        assert (json.loads(body) if isinstance(expect["response"], dict) else body) == expect["response"]
    assert len(outcome.messages) == len(expect["messages"])
    for message, expected in zip(outcome.messages, expect["messages"], strict=True):
        found: dict[str, Any] = {**CONSTANTS, "project_id": message.project_id, "sdk": message.sdk}
        found["payload"] = json.loads(bytes(message.payload))
        assert {name: found[name] for name in expected if name != "key"} == {
            name: value for name, value in expected.items() if name != "key"
        }
        assert message.slug == slugify(found["payload"]["monitor_slug"])
        assert message.start_time == START_TIME
        assert list(found["payload"]) == list(expected["payload"])
    assert [{"item": drop.item, "reason": drop.reason} for drop in outcome.drops] == expect["dropped"]


def _is_handed_on_with_its_config(recording: dict[str, Any], outcome: Outcome) -> None:
    """Where Cronwax differs from the relay on purpose: a faulty config does not cost the check-in."""
    assert outcome.status == (202 if "/cron/" in recording["path"] else 200)
    assert not outcome.drops
    [message] = outcome.messages
    assert "monitor_config" in json.loads(bytes(message.payload))


def test_there_are_as_many_recordings_as_were_made() -> None:
    assert len(ALL) == 214
    assert sum(_is_config_kept(recording) for recording in ALL) == 5


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder that the recordings were copied from is not here")
def test_the_recordings_are_those_of_the_shared_folder() -> None:
    shared = {path.stem: json.loads(path.read_text()) for path in SHARED.glob("*.json")}
    assert {recording.pop("name"): recording for recording in _recordings()} == shared
