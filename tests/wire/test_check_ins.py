"""Messages of `ingest-monitors` become check-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import sentry_kafka_schemas

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.wire.check_ins import CheckInDecoder, MalformedMessage, Place, Wrapper

PLACE = Place("ingest-monitors", 3, 14, 1_740_960_060_000_000, NO_MINUTE)
EXAMPLES = sorted((Path(sentry_kafka_schemas.__file__).parent / "examples/ingest-monitors/1").iterdir())
DECODER = CheckInDecoder({7: 70})


def from_json(payload, **fields):
    message = {"message_type": "check_in", "payload": payload, "start_time": 1740960060.0, "project_id": 7}
    raw = json.dumps(message | fields).encode()
    return DECODER.unpacked(msgspec.json.decode(raw, type=Wrapper), PLACE)


def payload(**fields):
    return {"check_in_id": "0" * 31 + "1", "monitor_slug": "m", "status": "ok"} | fields


def problem(**fields):
    check_in = from_json(payload(**fields))
    return json.loads(check_in.problem) if check_in.problem else None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_public_example_decodes(example):
    raw = example.read_bytes()
    check_in = DECODER.packed(raw, PLACE)
    unpacked = msgpack.unpackb(raw)
    if unpacked["message_type"] == "clock_pulse":
        assert check_in is None
    else:
        assert check_in is not None
        assert check_in.project_id == unpacked["project_id"]
        assert check_in.problem is None
        assert check_in.slug == json.loads(unpacked["payload"])["monitor_slug"].lower()


def test_there_are_public_examples():
    assert len(EXAMPLES) >= 3


def test_a_payload_may_be_text_or_an_object():
    assert from_json(json.dumps(payload())).guid == from_json(payload()).guid == bytes(15) + b"\x01"


def test_a_start_time_later_than_the_brokers_counts_as_the_brokers():
    assert from_json(payload(), start_time=1740960061.5).start_us == PLACE.received_us
    assert from_json(payload(), start_time=1740960059.25).start_us == 1_740_960_059_250_000
    assert from_json(payload(), start_time=1740960060_000).start_us == PLACE.received_us  # milliseconds
    assert from_json(payload(), start_time=1e300).start_us == PLACE.received_us


def test_the_projects_organization_is_looked_up():
    assert from_json(payload()).organization_id == 70
    assert from_json(payload(), project_id=8).organization_id == 1


@pytest.mark.parametrize(
    "text",
    [
        "0E17A2AA2E164D06A816EACE3E33A010",
        "0e17a2aa-2e16-4d06-a816-eace3e33a010",
        "{0e17a2aa-2e16-4d06-a816-eace3e33a010}",
        "urn:uuid:0e17a2aa-2e16-4d06-a816-eace3e33a010",
    ],
)
def test_a_guid_may_have_any_standard_form(text):
    assert from_json(payload(check_in_id=text)).guid.hex() == "0e17a2aa2e164d06a816eace3e33a010"


@pytest.mark.parametrize("text", ["", "x", None, 5, "0" * 31, "0" * 33, "00 " * 16, "0-" * 16, "é" * 32])
def test_what_is_no_guid_is_an_invalid_guid_whatever_else_is_wrong(text):
    assert problem(check_in_id=text, status="weird") == {"type": "CHECKIN_INVALID_GUID"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "missed"),
        ("status", None),
        ("monitor_slug", "---"),
        ("monitor_slug", "日本"),
        ("monitor_slug", 5),
        ("environment", 5),
        ("duration", "5"),
        ("duration", True),
        ("duration", float(2**53)),
        ("duration", 1e300),
        ("contexts", []),
        ("contexts.trace", {"trace": 5}),
        ("contexts.trace.trace_id", {"trace": {"trace_id": "zz"}}),
    ],
)
def test_each_wrong_field_is_named(field, value):
    error = problem(**{field.split(".")[0]: value})
    assert error["type"] == "CHECKIN_VALIDATION_FAILED"
    assert list(error["errors"]) == [field]


def test_all_wrong_fields_are_named_together():
    assert set(problem(status="x", duration=1e300)["errors"]) == {"status", "duration"}


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [
        (0, 0),
        (0.0004, 0),
        (1.0006, 1001),
        (2147483.647, 2147483647),
        (-0.0003, 0),
        (2_419_200.5, 2_419_200_500),
    ],
)
def test_a_duration_becomes_whole_milliseconds(seconds, ms):
    assert from_json(payload(duration=seconds)).duration_ms == ms


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("My Job", "my-job"),
        ("  Ünïcode -- Job!  ", "unicode-job"),
        ("a" * 60, "a" * 50),
        ("a" * 49 + "-b", "a" * 49),
        ("_x_", "x"),
        ("a.b/c", "abc"),
    ],
)
def test_a_slug_is_slugified(text, slug):
    assert from_json(payload(monitor_slug=text)).slug == slug


@pytest.mark.parametrize("absent", [None, ""])
def test_an_absent_environment_is_production(absent):
    assert from_json(payload(environment=absent)).environment == "production"


@pytest.mark.parametrize(
    "broken", ["no json", "[]", '"x"', "null", '{"check_in_id": "\\ud800"}', "[" * 100_000, '{"a":' * 100_000]
)
def test_a_payload_that_is_no_object_is_malformed(broken):
    with pytest.raises(MalformedMessage, match="payload"):
        from_json(broken)


@pytest.mark.parametrize(
    "fields",
    [
        {"start_time": -1},
        {"project_id": -1},
        {"project_id": 2**64},
        {"message_type": "surprise"},
    ],
)
def test_a_wrapper_with_impossible_values_is_malformed(fields):
    with pytest.raises(MalformedMessage):
        from_json(payload(), **fields)


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03", b"\x81\xa1a\xa1b", b"\x90" * 9])
def test_bytes_that_are_no_map_of_a_message_are_malformed(raw):
    with pytest.raises(MalformedMessage):
        DECODER.packed(raw, PLACE)


def test_the_config_is_kept_as_text_and_null_is_absent():
    assert from_json(payload(monitor_config={"a": 1})).config == b'{"a": 1}'
    assert from_json(payload(monitor_config="x")).config == b'"x"'
    assert from_json(payload(monitor_config=None)).config is None
    assert from_json(payload()).config is None


def test_a_valid_payload_has_no_problem():
    full = payload(environment="dev", duration=1.5, contexts={"trace": {"trace_id": "0" * 32}}, extra=[1])
    assert from_json(full).problem is None
    empties: list[Any] = [{"trace": None}, {"trace": {}}, {}, None, {"trace": {"trace_id": None}}]
    for empty in empties:
        assert from_json(payload(contexts=empty)).problem is None


BAD_BYTES = [
    b'{"check_in_id": 5, "monitor_slug": "\xff", "status": "ok"}',
    b'{"check_in_id": "no guid", "monitor_slug": "m", "status": "ok", "comment": "\xff"}',
    b'{"check_in_id": "00000000000000000000000000000001", "monitor_slug": "m", "status": "ok", "environment": "\xff"}',
]


@pytest.mark.parametrize("raw", BAD_BYTES)
def test_a_payload_that_is_not_utf_8_is_malformed(raw):
    message = {"message_type": "check_in", "payload": raw, "start_time": 1740960060.0, "project_id": 7}
    with pytest.raises(MalformedMessage, match="payload"):
        DECODER.packed(msgpack.packb(message), PLACE)


@pytest.mark.parametrize("raw", [*BAD_BYTES, b'"\xff"', b'"{\\"status\\": \\"\xff\\"}"'])
def test_a_payload_in_a_line_that_is_not_utf_8_is_malformed(raw):
    line = (
        b'{"message_type": "check_in", "start_time": 1740960060.0, "project_id": 7, "payload": ' + raw + b"}"
    )
    with pytest.raises(MalformedMessage, match="payload"):
        DECODER.unpacked(msgspec.json.decode(line, type=Wrapper), PLACE)


def test_a_number_that_no_float_holds_is_out_of_bounds_not_malformed():
    line = json.dumps(payload(duration=1.5)).replace("1.5", "1e400")
    assert set(json.loads(from_json(line).problem)["errors"]) == {"duration"}
    line = json.dumps(payload(check_in_id="x", extra=1.5)).replace("1.5", "1e400")
    assert json.loads(from_json(line).problem) == {"type": "CHECKIN_INVALID_GUID"}


@pytest.mark.parametrize("seconds", [-0.0006, -1, -1e300, -(2**60)])
def test_a_negative_duration_counts_as_not_given(seconds):
    assert from_json(payload(duration=seconds)).duration_ms is None


@pytest.mark.parametrize("config", ["{}", "{ }", "{\n\t}", "null"])
def test_an_empty_config_is_none(config):
    text = json.dumps(payload(monitor_config=5)).replace('"monitor_config": 5', f'"monitor_config": {config}')
    assert from_json(text).config is None
