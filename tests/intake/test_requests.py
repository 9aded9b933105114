"""What becomes of requests that nobody has recorded."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard

from cronwax.intake.lines import entries_of
from cronwax.intake.outcome import Outcome
from cronwax.intake.projects import Projects
from cronwax.intake.routes import MAX_DECOMPRESSED_BYTES, Request, handle
from dataflow.projects import parse_projects
from dataflow.wire.check_ins import CheckInDecoder, DroppedCheckIn, Place, Wrapper
from dataflow.wire.line import decode_line
from tests.intake.running import CHECK, KEY, PING_KEY, PROJECTS, envelope

KNOWN = Projects(parse_projects(json.dumps(PROJECTS).encode()))
CHECK_IN = {"check_in_id": "0" * 32, "monitor_slug": "nightly", "status": "ok"}
NOW = 1_795_630_801


def ask(method: str, address: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Outcome:
    path, _, query = address.partition("?")
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return handle(Request(method, path, query, lower, body, NOW), KNOWN)


def payload(outcome: Outcome, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(outcome.messages[number].payload))
    return found


def cron(query: str) -> Outcome:
    return ask("GET", f"/api/42/cron/nightly/{KEY}/?{query}")


@pytest.mark.parametrize(
    ("query", "config"),
    [
        ("schedule=0+3+*+*+*", {"schedule": {"type": "crontab", "value": "0 3 * * *"}}),
        (
            "schedule=every+5+minutes&margin=2&max_runtime=10&timezone=Europe%2FVienna",
            {
                "schedule": {"type": "interval", "value": 5, "unit": "minute"},
                "checkin_margin": 2,
                "max_runtime": 10,
                "timezone": "Europe/Vienna",
            },
        ),
        ("schedule=1+day", {"schedule": {"type": "interval", "value": 1, "unit": "day"}}),
        ("schedule=nonsense", {"schedule": {"type": "crontab", "value": "nonsense"}}),
        ("margin=x", {"checkin_margin": "x"}),
    ],
)
def test_a_monitor_is_made_by_the_query_and_what_is_wrong_is_for_the_flow_to_say(query, config):
    outcome = cron(f"status=ok&{query}")
    assert outcome.status == 202
    assert payload(outcome)["monitor_config"] == config


@pytest.mark.parametrize("query", ["duration=nan", "duration=x", "duration=inf", "check_in_id=x", ""])
def test_a_query_that_cannot_be_read_is_a_400_that_its_sender_finds(query):
    outcome = cron(f"status=ok&{query}" if query else "")
    assert outcome.status == 400
    assert outcome.project_id == 42
    [drop] = outcome.drops
    assert drop.slug == "nightly"
    assert json.loads(drop.payload).keys() == ({"status", query.partition("=")[0]} if query else set())


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"/api/42/cron/nightly/{'f' * 32}/?status=ok", 403),
        (f"/api/43/cron/nightly/{KEY}/?status=ok", 403),
        ("/api/42/cron/nightly/?status=ok", 401),
        ("/api/42/cron/nightly/short/?status=ok", 400),
        (f"/api/x/cron/nightly/{KEY}/?status=ok", 400),
        (f"/api/{'9' * 30}/cron/nightly/{KEY}/?status=ok", 400),
        (f"/ping/{'k' * 22}/nightly", 404),
        (f"/ping/{CHECK.replace('5', '6')}", 404),
        (f"/ping/{PING_KEY}", 404),
        (f"/ping/{PING_KEY}/nightly/nonsense", 404),
        (f"/ping/{PING_KEY}/nightly/256", 400),
        (f"/ping/{PING_KEY}/nightly/٣", 404),
        ("/p/unknownkey/nightly", 404),
        (f"/p/{PING_KEY}/nightly?state=nonsense", 400),
        ("/", 404),
        ("/api", 404),
    ],
)
def test_who_may_not_or_asks_for_nothing_that_is_there(address, status):
    outcome = ask("GET", address)
    assert (outcome.status, outcome.messages) == (status, [])


def test_a_refusal_without_a_key_leaves_nothing_in_the_log():
    outcome = ask("GET", f"/api/42/cron/nightly/{'f' * 32}/?status=ok")
    assert outcome.drops
    assert entries_of(outcome, NOW, 4) == []


def test_a_check_of_the_table_is_its_monitor():
    assert payload(ask("GET", f"/ping/{CHECK.upper()}/start")) == {
        "check_in_id": "0" * 32,
        "monitor_slug": "checked",
        "status": "in_progress",
    }


def test_a_slug_may_hold_a_slash_and_a_dsn_a_prefix():
    assert payload(ask("GET", f"/a/b/api/42/cron/x%2Fy/{KEY}?status=ok"))["monitor_slug"] == "x/y"
    assert ask("GET", f"/ping/{PING_KEY}/api").status == 200


def test_what_else_is_in_an_envelope_is_counted_and_no_row():
    body, headers = envelope(CHECK_IN)
    body += b'\n{"type":"transaction"}\n{}\n'
    outcome = ask("POST", "/api/42/envelope/", body, headers)
    assert [drop.item for drop in outcome.drops] == ["transaction"]
    assert len(entries_of(outcome, NOW, 4)) == 1


def test_a_check_in_that_is_dropped_is_a_line_that_says_why():
    body, headers = envelope(CHECK_IN, {**CHECK_IN, "check_in_id": None})
    outcome = ask("POST", "/api/42/envelope/", body, headers)
    assert (outcome.status, len(outcome.messages)) == (200, 1)
    _, line = entries_of(outcome, NOW, 4)[1]
    wrapper = decode_line(b'{"ts":1,' + line).message
    assert isinstance(wrapper, Wrapper)
    with pytest.raises(DroppedCheckIn, match="check_in_id is not a UUID") as caught:
        CheckInDecoder({}).unpacked(wrapper, Place("", 0, 0, 0, 0))
    assert caught.value.project_id == 42
    assert json.loads(caught.value.payload)["check_in_id"] is None


@pytest.mark.parametrize("config", [b'{\n"schedule": 5\n}', b"[1,\r\n2]", b'"*/5 * * * *"', b"17"])
def test_a_faulty_config_is_handed_on_in_one_line(config):
    check_in = json.dumps(CHECK_IN).encode()[:-1] + b',"monitor_config":' + config + b"}"
    body = b'{}\n{"type":"check_in","length":%d}\n%b' % (len(check_in), check_in)
    outcome = ask("POST", "/api/42/envelope/", body, envelope()[1])
    [(_, line)] = entries_of(outcome, NOW, 4)
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert json.loads(b'{"ts":1,' + line)["message"]["payload"]["monitor_config"] == json.loads(config)


@pytest.mark.parametrize("config", [b'{"schedule": nonsense}', b'{"a": "\x00"}', b'{"a": "\xff"}'])
def test_a_config_that_is_no_json_cannot_be_handed_on(config):
    check_in = json.dumps(CHECK_IN).encode()[:-1] + b',"monitor_config":' + config + b"}"
    body = b'{}\n{"type":"check_in","length":%d}\n%b' % (len(check_in), check_in)
    outcome = ask("POST", "/api/42/envelope/", body, envelope()[1])
    assert [drop.reason for drop in outcome.drops] == ["invalid_json"]


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b"[]",
        b"{}\n{",
        b'{}\n{"type":1}',
        b'{}\n{"type":"check_in","length":-1}',
        b"{}\n" + b"[" * 100_000,
    ],
)
def test_a_broken_envelope_is_refused_whole(body):
    assert ask("POST", "/api/42/envelope/", body, envelope()[1]).status == 400


def test_a_check_in_item_above_100_kib_costs_the_envelope():
    body, headers = envelope({**CHECK_IN, "extra": "x" * 102_400})
    assert ask("POST", "/api/42/envelope/", body, headers).status == 413


def test_a_newer_protocol_is_refused():
    body, headers = envelope(CHECK_IN)
    headers["X-Sentry-Auth"] = headers["X-Sentry-Auth"].replace("version=7", "version=8")
    assert ask("POST", "/api/42/envelope/", body, headers).status == 400


BOMB = b"x" * (MAX_DECOMPRESSED_BYTES + 1)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_every_encoding_is_read_bounded_and_refused_when_it_is_torn(encoding):
    body, headers = envelope(CHECK_IN)
    headers["Content-Encoding"] = encoding
    encode = ENCODERS[encoding]
    assert ask("POST", "/api/42/envelope/", encode(body), headers).status == 200
    assert ask("POST", "/api/42/envelope/", encode(BOMB), headers).status == 413
    assert ask("POST", "/api/42/envelope/", encode(body)[:-6], headers).status == 400
    assert ask("POST", "/api/42/envelope/", b"nonsense", headers).status == 400
    assert ask("POST", "/api/42/envelope/", b"", headers).status == 400


def test_an_encoding_that_is_not_known_is_415():
    body, headers = envelope(CHECK_IN)
    assert ask("POST", "/api/42/envelope/", body, {**headers, "Content-Encoding": "lzma"}).status == 415


def batch(*lines: object) -> Outcome:
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return ask("POST", "/api/42/check-ins/", body, envelope()[1])


def line(**message: object) -> dict[str, object]:
    return {
        "ts": "2026-11-26T00:00:00Z",
        "message": {"message_type": "check_in", "payload": CHECK_IN, **message},
    }


def test_a_batch_is_taken_whole():
    outcome = batch(line(), b"", line(payload=json.dumps(CHECK_IN), start_time=5, project_id=42, sdk="x"))
    assert (outcome.status, outcome.body) == (202, b'{"accepted":2}')
    assert outcome.messages[0].start_time == NOW  # never after the request
    assert outcome.messages[1].start_time == 5
    assert outcome.messages[1].sdk == "x"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"nonsense", "no line of a check-in"),
        ({"ts": 1, "control": {"type": "mute"}}, "no line of a check-in"),
        (line(project_id=43), "project_id must be 42"),
        (line(message_type="clock_pulse"), "message_type must be check_in"),
        (line(payload={**CHECK_IN, "check_in_id": "x"}), "check_in_id is not a UUID"),
        (line(start_time=-1), "start_time must be"),
        ({**line(), "ts": "yesterday"}, "ts is missing or not a time"),
    ],
)
def test_a_bad_line_is_named_and_nothing_of_its_batch_taken(bad, why):
    outcome = batch(line(), bad, line())
    assert outcome.status == 422
    assert outcome.messages == []
    detail = json.loads(outcome.body)["detail"]
    assert detail.startswith("line 2: ")
    assert why in detail
