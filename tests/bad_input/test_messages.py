"""Messages that cannot be read: a row and a dead letter, and nothing good is lost.

Each case is a process of its own, started as users start it.
"""

from __future__ import annotations

import gzip
import json

from tests.bad_input.places import GOOD, assert_fine, assert_one_line
from tests.builders import HOURLY, START_S, as_line, check_in, control, guid
from tests.processes import run_warm, write_jsonl

DEEP = "[" * 100_000 + "]" * 100_000
BYTES_10_MB = 10_000_000


def with_payload(payload, **others):
    message = {"message_type": "check_in", "payload": payload, "start_time": START_S, "project_id": 1}
    return json.dumps({"ts": START_S, "message": message | others})


def body(number, rest):
    return f'{{"check_in_id": "{guid(number)}", "monitor_slug": "nightly", "status": "ok", {rest}}}'


MALFORMED = {
    "no JSON": "{no message",
    "10 MB of nothing": "x" * BYTES_10_MB,
    "a payload of 10 MB that is not JSON": with_payload("x" * BYTES_10_MB),
    "deep nesting alone": DEEP,
    "deep nesting beside the message": json.dumps({"x": 0} | GOOD[0]).replace("0", DEEP, 1),
    "deep nesting in a payload's text": with_payload(body(50, f'"contexts": {DEEP}')),
    "deep nesting in a config": with_payload(body(51, f'"monitor_config": {DEEP}')),
    "deep nesting for a payload": with_payload(0).replace('"payload": 0', f'"payload": {DEEP}'),
    "NaN for a time": json.dumps({**GOOD[0], "ts": float("nan")}),
    "NaN for a start": with_payload(body(52, '"x": 0'), start_time=float("nan")),
    "NaN for a duration": with_payload(body(53, '"duration": NaN')),
    "a lone surrogate in a slug": with_payload(body(54, '"x": 0').replace("nightly", "\\ud800")),
    "a lone surrogate in a payload": with_payload(body(55, '"x": "\ud800"')),
    "a lone surrogate for an SDK": with_payload(body(56, '"x": 0'), sdk="\ud800"),
    "a negative time": json.dumps({**GOOD[0], "ts": -5}),
    "a negative start": with_payload(body(57, '"x": 0'), start_time=-5),
    "bytes that are no UTF-8": b"\xff\xfe\x00",
    "no object": "null",
    "another message": with_payload("{}", message_type="x"),
}


def test_what_is_no_message_becomes_an_error_and_a_dead_letter_and_nothing_good_is_lost(place):
    write_jsonl(place.input, [*MALFORMED.values(), *GOOD])
    assert_fine(run_warm(place.settings()))
    offsets = dict(enumerate(MALFORMED, 1))
    rows = place.query("""SELECT "offset" FROM processing_errors WHERE error_types = ['MALFORMED_MESSAGE']""")
    assert {offsets[offset] for (offset,) in rows} == set(MALFORMED)
    letters = place.dead_letters()
    assert {offsets[offset] for offset in letters} == set(MALFORMED)
    assert all(letter["reason"] and "\n" not in letter["reason"] for letter in letters.values())
    assert letters[1]["payload"] == MALFORMED["no JSON"]
    assert letters[2]["payload"] == MALFORMED["10 MB of nothing"]
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]
    assert place.query("SELECT count(*) FROM processing_errors") == [(len(MALFORMED),)]


def test_what_is_a_message_but_not_valid_becomes_an_error_alone(place):
    zone = check_in(0, "other", number=60, config={**HOURLY, "timezone": "Mars/Base"})
    wrong = [
        zone,
        control(0, "mute", project_id=1, monitor_slug="nobody", muted=True),
        f'{{"ts": {START_S}, "control": {DEEP}}}',
        f'{{"ts": {START_S}, "control": {{"type": "mute", "x": {DEEP}}}}}',
        f'{{"ts": {START_S}, "control": {{"type": "mute", "monitor_slug": "\\ud800"}}}}',
    ]
    write_jsonl(place.input, [*wrong, *GOOD])
    assert_fine(run_warm(place.settings()))
    rows = dict(place.query('SELECT "offset", error_types FROM processing_errors'))
    assert rows.pop(1) == ["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"]
    assert rows == {2: ["INVALID_CONTROL"]} | dict.fromkeys((3, 4, 5), rows[3])
    assert place.query("SELECT count(*) FROM check_ins") == [(len(GOOD),)]


def test_a_valid_payload_of_10_mb_is_a_check_in(place):
    huge = check_in(0, "nightly", number=60, config=HOURLY, contexts={"x": "y" * BYTES_10_MB})
    write_jsonl(place.input, [huge, *GOOD])
    assert_fine(run_warm(place.settings()))
    assert place.query("SELECT count(*) FROM check_ins") == [(1 + len(GOOD),)]


def test_a_truncated_gz_fails_behind_its_last_whole_line(place):
    lines = [check_in(60 * n, f"job-{n % 7}", number=n + 1, config=HOURLY) for n in range(3000)]
    packed = gzip.compress(b"".join(as_line(line) + b"\n" for line in lines))
    path = place.folder / "cut.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    ended = run_warm(place.settings(checkins_path=path), "-s", 1)
    assert_one_line(ended, path, "is truncated after line ", status=2)
    line = int(ended.complaints[0].rpartition(" ")[2])
    assert place.query("SELECT count(*) FROM check_ins WHERE status = 'ok'") == [(line,)]
    assert 0 < line < 3000


def test_a_gz_that_is_none_is_named(place):
    path = place.folder / "none.jsonl.gz"
    path.write_bytes(b"plain text")
    assert_one_line(run_warm(place.settings(checkins_path=path)), path, "is corrupt")
