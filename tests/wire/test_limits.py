"""Whatever a message or control names is bounded where it is read."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.limits import Limit, cut_details, cut_text, payload_json, payload_text
from dataflow.wire.check_ins import CheckInDecoder, Place
from dataflow.wire.controls import ControlDecoder, InvalidControl
from tests.builders import HOURLY, guid
from tests.flow.memory import Lines, run

PLACE = Place("ingest-monitors", 3, 14, 1_740_960_060_000_000, NO_MINUTE)
HUGE = 1_000_000
AT_S = 1_740_960_000


def read(sdk: str | None = None, **fields: Any) -> Any:
    body = {"check_in_id": guid(1), "monitor_slug": "m", "status": "ok"} | fields
    wrapper = {"message_type": "check_in", "start_time": 1740960060.0, "project_id": 7, "sdk": sdk}
    return CheckInDecoder({}).packed(msgpack.packb(wrapper | {"payload": json.dumps(body).encode()}), PLACE)


def line(**fields: Any) -> dict[str, Any]:
    body = {"check_in_id": guid(1), "monitor_slug": "m", "status": "ok"} | fields
    message = {"message_type": "check_in", "payload": body, "start_time": AT_S, "project_id": 7, "sdk": None}
    return {"ts": AT_S, "message": message}


def errors_of(*lines: Any) -> list[dict[str, Any]]:
    some: Lines = list(lines)
    return run(some).rows("processing_errors")


def test_a_long_environment_is_kept_as_far_as_tells_that_it_is_too_long():
    for fields in ({}, {"status": "no such status"}):  # the strict and the loose way
        assert len(read(environment="e" * HUGE, **fields).environment) == Limit.ENVIRONMENT_CHARACTERS + 1
    assert (
        len(read(environment="e" * Limit.ENVIRONMENT_CHARACTERS).environment) == Limit.ENVIRONMENT_CHARACTERS
    )
    (error,) = errors_of(line(environment="e" * HUGE, monitor_config=HOURLY))
    assert error["error_types"] == ("MONITOR_INVALID_ENVIRONMENT",)
    assert len(error["environment"]) == Limit.ENVIRONMENT_CHARACTERS + 1


def test_a_slug_is_made_of_the_beginning_of_a_long_text():
    assert read(monitor_slug="My Job" + "!" * HUGE).slug == "my-job"
    assert read(monitor_slug="!" * (Limit.SLUG_SOURCE_CHARACTERS - 3) + "job" + "x" * HUGE).slug == "job"
    assert read(monitor_slug="!" * HUGE + "job").problem is not None


def test_a_long_sdk_is_cut():
    assert read(sdk="s" * HUGE).sdk == "s" * Limit.SDK_CHARACTERS


def test_a_long_config_is_invalid():
    config = {**HOURLY, "ignored": "x" * HUGE}
    assert len(read(monitor_config=config).config) == Limit.CONFIG_BYTES + 1
    (error,) = errors_of(line(monitor_config=config))
    assert error["error_types"] == ("MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND")
    assert f"longer than {Limit.CONFIG_BYTES} bytes" in error["errors"].decode()
    fitting = {**HOURLY, "ignored": "x" * (Limit.CONFIG_BYTES - 1_000)}
    assert errors_of(line(monitor_config=fitting)) == []


def test_a_row_holds_the_beginning_of_a_long_payload_and_its_length():
    (error,) = errors_of(line(status="x" * HUGE))
    assert len(error["payload"]) < Limit.PAYLOAD_BYTES + 100
    assert error["payload"].endswith("bytes)")
    whole = line(status="x" * (Limit.PAYLOAD_BYTES - 1_000))
    (error,) = errors_of(whole)
    assert json.loads(error["payload"]) == whole["message"]["payload"]


def test_a_sample_holds_the_beginning_of_a_long_payload_and_its_length():
    for payload, is_cut in (("x" * HUGE, True), ("x" * (Limit.PAYLOAD_BYTES - 1_000), False)):
        world = run([line(monitor_config=HOURLY, more=payload)], base_sample_rate=1.0)
        (sample,) = world.rows("check_in_samples")
        found = json.loads(sample["payload"])
        assert ("cut" in found) == is_cut
        if is_cut:
            assert found["length"] > HUGE
            assert found["beginning"].startswith('{"check_in_id"')
            assert len(sample["payload"]) < 2 * Limit.PAYLOAD_BYTES


def test_a_row_about_a_rejected_check_in_has_its_payload_though_a_sample_was_cut():
    long = line(environment="a/b", monitor_config=HOURLY, more="x" * HUGE)
    world = run([long], base_sample_rate=1.0)
    (error,), (sample,) = world.rows("processing_errors"), world.rows("check_in_samples")
    assert error["payload"].startswith('{"check_in_id"')
    assert json.loads(sample["payload"])["cut"] is True


UPSERT = {"type": "upsert_monitor", "project_id": 1, "monitor_slug": "m", "monitor_config": HOURLY}
RULE = {
    "type": "upsert_sampling_rule",
    "organization_id": 1,
    "project_ids": [],
    "condition": {"op": "and", "inner": []},
    "start": 0,
    "end": 1,
    "num_samples": 1,
    "sample_rate": 1.0,
    "query": "",
}
MUTE = {"type": "mute", "project_id": 1, "monitor_slug": "m", "muted": True}


@pytest.mark.parametrize(
    ("fitting", "too_much"),
    [
        (
            UPSERT | {"name": "n" * Limit.NAME_CHARACTERS},
            UPSERT | {"name": "n" * (Limit.NAME_CHARACTERS + 1)},
        ),
        (MUTE | {"environment": "e" * Limit.ENVIRONMENT_CHARACTERS}, MUTE | {"environment": "e" * HUGE}),
        (MUTE | {"x": "x" * 100_000}, MUTE | {"x": "x" * Limit.CONTROL_BYTES}),
        (
            RULE | {"query": "q" * Limit.QUERY_CHARACTERS},
            RULE | {"query": "q" * (Limit.QUERY_CHARACTERS + 1)},
        ),
        (
            RULE | {"project_ids": list(range(Limit.RULE_PROJECTS))},
            RULE | {"project_ids": list(range(Limit.RULE_PROJECTS + 1))},
        ),
        (MUTE, MUTE | {"type": "t" * 200_000}),
    ],
    ids=["name", "environment", "control", "query", "projects", "type"],
)
def test_a_control_with_too_much_of_something_is_invalid(fitting, too_much):
    ControlDecoder({}).decode(json.dumps(fitting).encode(), PLACE)
    with pytest.raises(InvalidControl):
        ControlDecoder({}).decode(json.dumps(too_much).encode(), PLACE)
    (error,) = errors_of({"ts": AT_S, "control": too_much})
    assert error["error_types"] == ("INVALID_CONTROL",)
    assert len(error["errors"]) < 2 * Limit.REASON_CHARACTERS
    assert len(error["payload"]) < Limit.PAYLOAD_BYTES + 100


def test_long_texts_of_errors_are_cut_at_any_depth():
    cut = cut_details({"a": ["x" * HUGE, {"y" * HUGE: 7}], "b": None})
    assert cut == {"a": [cut_text("x" * HUGE), {cut_text("y" * HUGE): 7}], "b": None}
    assert len(cut_text("x" * HUGE)) == Limit.REASON_CHARACTERS
    assert cut_text("x" * Limit.REASON_CHARACTERS) == "x" * Limit.REASON_CHARACTERS


def test_a_payload_that_is_cut_within_a_character_stays_text():
    long = "é".encode() * Limit.PAYLOAD_BYTES
    odd = b"x" + long
    assert payload_text(odd).startswith("xéé")
    assert json.loads(payload_json(odd))["length"] == len(odd)
