import json
from datetime import UTC, datetime

import pytest

from cronwax.commands.arguments import ToolError
from cronwax.commands.options import check_in_payload, control_body, parser
from cronwax.commands.outgoing import check_in, control
from cronwax.commands.recording import read_dead_letters, read_recording
from cronwax.commands.rule_options import rule_body
from cronwax.commands.send import main
from dataflow.connectors.jsonl_sink import dead_letter_line
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.sampling.rule_request import parse_rule
from dataflow.stream.items import DeadLetter
from dataflow.wire.check_ins import CheckInDecoder, Place
from dataflow.wire.controls import ControlDecoder

NOW_US = 1_750_000_000_000_000
NOW = datetime(2025, 6, 15, tzinfo=UTC)
PLACE = Place("t", 0, 0, NOW_US, NO_MINUTE)
GUID = "0e17a2aa2e164d06a816eace3e33a010"


def check_in_of(*arguments):
    """The letter of a command line, and what the flow reads in it."""
    options = parser().parse_args(["check-in", "--project", "7", "--slug", "Nightly run", *arguments])
    letter = check_in(check_in_payload(options), options.project, "test", NOW_US)
    return letter, CheckInDecoder({}).packed(letter.value, PLACE)


def control_of(*arguments):
    letter = control(control_body(parser().parse_args(["control", *arguments]), NOW))
    return letter, ControlDecoder({}).decode(letter.value, PLACE)


def rule_of(*arguments):
    letter = control(rule_body(parser().parse_args(["rule", "--organization", "3", *arguments]), NOW))
    return letter, parse_rule(json.loads(letter.value))


def test_a_check_in_is_what_its_options_say():
    letter, found = check_in_of(
        "--status",
        "error",
        "--environment",
        "eu",
        "--guid",
        GUID,
        "--duration",
        "2.5",
        "--trace-id",
        "1" * 32,
    )
    assert (found.project_id, found.slug, found.environment) == (7, "nightly-run", "eu")
    assert (found.guid.hex(), found.status, found.duration_ms) == (GUID, 2, 2500)
    assert (found.trace_id.hex(), found.start_us, found.config) == ("1" * 32, NOW_US, None)
    assert letter.key == "7/nightly-run"
    assert letter.name == "check-in 0e17a2aa-2e16-4d06-a816-eace3e33a010"


def test_a_check_in_without_a_guid_gets_one_of_its_own():
    (_, one), (_, other) = check_in_of("--status", "ok"), check_in_of("--status", "ok")
    assert one.guid != other.guid


def test_a_config_holds_what_was_named_and_nothing_else():
    _, found = check_in_of(
        *("--status", "ok", "--every", " 10  minutes", "--margin", "3", "--max-runtime", "9"),
        *("--timezone", "Europe/Vienna", "--failure-threshold", "2", "--recovery-threshold", "4"),
        *("--owner", "team:ops"),
    )
    assert json.loads(found.config) == {
        "schedule": {"type": "interval", "value": 10, "unit": "minute"},
        "checkin_margin": 3,
        "max_runtime": 9,
        "timezone": "Europe/Vienna",
        "failure_issue_threshold": 2,
        "recovery_threshold": 4,
        "owner": "team:ops",
    }
    _, found = check_in_of("--status", "ok", "--schedule", "*/5 * * * *")
    assert json.loads(found.config) == {"schedule": {"type": "crontab", "value": "*/5 * * * *"}}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--guid", "x"], "CHECKIN_INVALID_GUID"),
        (["--slug", "!"], "CHECKIN_VALIDATION_FAILED: monitor_slug: Holds no letter and no digit."),
        (["--duration", "1e300"], "CHECKIN_VALIDATION_FAILED: duration: "),
        (["--schedule", "* * 31 2 *"], "MONITOR_INVALID_CONFIG: schedule"),
        (["--every", "5 fortnights"], '--every "5 fortnights": must be'),
        (["--margin", "5"], "the options of a config need --schedule or --every"),
        (["--project", "-1"], "MALFORMED_MESSAGE: project_id"),
    ],
)
def test_what_the_flow_would_reject_is_not_sent(arguments, reason):
    with pytest.raises(ToolError) as refused:
        check_in_of("--status", "ok", *arguments)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "key", "expected"),
    [
        (
            ["upsert_monitor", "--project", "7", "--slug", "M", "--schedule", "@daily", "--name", "The M"],
            "7/m",
            {"name": "The M", "config": b'{"schedule":{"type":"crontab","value":"@daily"}}'},
        ),
        (
            ["set_monitor_status", "--project", "7", "--slug", "m", "--status", "disabled"],
            "7/m",
            {"status": "disabled"},
        ),
        (
            ["mute", "--project", "7", "--slug", "m", "--muted", "true"],
            "7/m",
            {"flag": True, "environment": None},
        ),
        (
            ["mute", "--project", "7", "--slug", "m", "--environment", "eu", "--muted", "false"],
            "7/m",
            {"flag": False, "environment": "eu"},
        ),
        (
            ["snooze", "--project", "7", "--slug", "m", "--until", "2025-07-01", "--id", "z"],
            "organization/1",
            {"kind": "snooze", "slug": "m", "environment": None},
        ),
        (
            ["end-silence", "--organization", "3", "--id", "z"],
            "organization/3",
            {"silence_id": "z", "project_id": None},
        ),
        (
            ["acknowledge-incident", "--project", "7", "--slug", "m", "--who", "ann", "--take-back"],
            "7/m",
            {"flag": False, "who": "ann", "environment": "production"},
        ),
        (
            ["delete-monitor", "--project", "7", "--slug", "m"],
            "7/m",
            {"kind": "delete_monitor", "environment": None},
        ),
        (
            ["set_killswitch", "--organization", "3", "--enabled", "true"],
            "organization/3",
            {"flag": True, "organization_id": 3},
        ),
        (["set-seats", "--organization", "3", "--seats", "5"], "organization/3", {"seats": 5}),
        (["set_seats", "--organization", "3", "--seats", "none"], "organization/3", {"seats": None}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_control_is_what_its_options_say(arguments, key, expected):
    letter, found = control_of(*arguments)
    assert (letter.key, letter.is_control) == (key, True)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_control_of_a_monitor_lies_with_its_check_ins():
    assert (
        control_of("mute", "--project", "7", "--slug", "Nightly run", "--muted", "true")[0].key
        == "7/nightly-run"
    )
    assert check_in_of("--status", "ok")[0].key == "7/nightly-run"


def test_a_rule_matches_what_its_conditions_say_from_now_on():
    letter, rule = rule_of(
        *("--project", "7", "--project", "8", "--where", "monitor.slug=nightly-*", "--where", "status=error"),
        *("--hours", "2", "--num-samples", "5", "--sample-rate", "0.5", "--created-by", "9"),
    )
    assert json.loads(letter.value)["condition"] == {
        "op": "and",
        "inner": [
            {"op": "glob", "name": "monitor.slug", "value": "nightly-*"},
            {"op": "eq", "name": "status", "value": "error"},
        ],
    }
    assert (rule.project_ids, rule.num_samples, rule.sample_rate, rule.created_by_id) == ((7, 8), 5, 0.5, 9)
    assert (rule.start_us, rule.end_us - rule.start_us) == (NOW.timestamp() * 1e6, 2 * 3600 * 1_000_000)
    assert rule.query == "monitor.slug:nightly-* status:error"


def test_a_rule_may_name_its_condition_and_times():
    condition = {"op": "gt", "name": "duration", "value": 5}
    times = ["--start", "2025-01-01T00:00:00Z", "--end", "2025-01-02"]
    letter, rule = rule_of("--condition", json.dumps(condition), *times, "--query", "slow")
    assert json.loads(letter.value)["condition"] == condition
    assert (rule.end_us - rule.start_us, rule.query) == (86_400_000_000, "slow")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--condition", "{"], "--condition: is not JSON"),
        (["--where", "status"], "--where status: must be FIELD=VALUE"),
        (["--where", "duration=long"], "--where duration=long: long is not a number"),
        (["--where", "colour=red"], "INVALID_CONTROL: condition.name"),
        (["--sample-rate", "3"], "INVALID_CONTROL: sample_rate"),
        (["--hours", "1e9"], "--hours 1e+09: is too far away"),
    ],
)
def test_a_rule_that_cannot_be_is_not_sent(arguments, reason):
    with pytest.raises(ToolError) as refused:
        rule_of(*arguments)
    assert str(refused.value).startswith(reason)


def test_lines_are_read_as_files_of_check_ins_are():
    payload = {"check_in_id": GUID, "monitor_slug": "m", "status": "ok"}
    wrapper = {"message_type": "check_in", "project_id": 7, "start_time": 1000.5}
    lines = [
        {"ts": "1970-01-01T00:16:41Z", "message": {**wrapper, "payload": payload}},
        {"ts": 1002, "message": {**wrapper, "payload": json.dumps(payload), "sdk": "x", "more": [1]}},
        {"ts": 1003, "control": {"type": "set_seats", "organization_id": 3, "seats": 1}},
        {"ts": 1004, "message": {"message_type": "clock_pulse"}},
    ]
    (first, one), (_, two), (_, three), (last, four) = read_recording(
        [b"\n", *(json.dumps(line).encode() for line in lines)]
    )
    assert (first, last) == (1_001_000_000, 1_004_000_000)
    for letter in (one, two):
        found = CheckInDecoder({}).packed(letter.value, PLACE)
        assert found is not None
        assert (found.guid.hex(), found.slug, found.start_us) == (GUID, "m", 1_000_500_000)
        assert letter.key == "7/m"
    assert found is not None
    assert json.loads(found.payload) == payload
    assert found.sdk == "x"
    assert (three.key, three.is_control) == ("organization/3", True)
    assert four.key is None
    assert CheckInDecoder({}).packed(four.value, PLACE) is None


def test_a_recorded_check_in_goes_out_though_it_is_invalid():
    message = {"message_type": "check_in", "project_id": 7, "start_time": 1, "payload": {"check_in_id": 5}}
    ((_, letter),) = read_recording([json.dumps({"ts": 1, "message": message}).encode()])
    found = CheckInDecoder({}).packed(letter.value, PLACE)
    assert found is not None
    assert found.problem is not None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x", "line 2: not a JSON object with a time in ts"),
        (b'{"ts": 1}', "line 2: neither message nor control"),
        (b'{"ts": 1, "message": []}', "line 2: Expected"),
        (b'{"ts": 1, "message": {"message_type": "x"}}', "line 2: MALFORMED_MESSAGE: message_type"),
        (
            b'{"ts": 1, "message": {"message_type": "check_in"}}',
            "line 2: MALFORMED_MESSAGE: payload, start_time",
        ),
        (b'{"ts": 1, "control": {"type": "x"}}', "line 2: INVALID_CONTROL: type"),
    ],
)
def test_a_line_that_is_none_is_named(line, reason):
    with pytest.raises(ToolError) as refused:
        list(read_recording([b"", line]))
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check-in", "--project", "x", "--slug", "m", "--status", "ok"],
        ["check-in", "--project", "1", "--slug", "m", "--status", "ok", "--duration", "nan"],
        [
            "check-in",
            "--project",
            "1",
            "--slug",
            "m",
            "--status",
            "ok",
            "--schedule",
            "@daily",
            "--every",
            "1 day",
        ],
        ["control", "mute", "--project", "1", "--slug", "m", "--muted", "perhaps"],
        ["control", "set_seats", "--organization", "1", "--seats", "-1"],
        ["control", "explode"],
    ],
    ids=lambda arguments: " ".join(arguments[-2:]) or "nothing",
)
def test_a_wrong_command_line_is_answered_with_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cronwax: ")


def test_without_an_address_one_line_says_so(monkeypatch, capsys):
    monkeypatch.delenv("CRONWAX_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("CRONWAX_SOURCE", "demo")
    assert main(["check-in", "--project", "1", "--slug", "m", "--status", "ok"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    address = "cronwax: CRONWAX_KAFKA_BOOTSTRAP_SERVERS must be set"
    assert line.startswith(f"{address}: there is no Kafka, and no intake's log")


TOPICS = ("ingest-monitors", "monitor-controls")


@pytest.mark.parametrize("original", [b"{}", b"\xff\x00", "\u2028".encode(), b""])
def test_a_dead_letter_goes_back_as_it_was_to_the_partition_that_it_came_from(original):
    lines = [dead_letter_line(DeadLetter(topic, 3, 17, "why", original)) for topic in TOPICS]
    found = list(read_dead_letters([b"\n", *lines], TOPICS))
    assert [(each.is_control, each.partition, each.value) for each in found] == [
        (False, 3, original),
        (True, 3, original),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"no JSON", "line 2: JSON is malformed"),
        (
            b'{"topic": "other", "partition": 0, "payload": ""}',
            "line 2: came from other, which is not one of",
        ),
        (b'{"topic": "ingest-monitors", "partition": 0}', "line 2: neither payload nor payload_base64"),
        (b'{"topic": "ingest-monitors", "partition": -1, "payload": ""}', "line 2: Expected `int` >= 0"),
        (b'{"topic": "ingest-monitors", "partition": 0, "payload_base64": "!"}', "line 2: Invalid base64"),
    ],
)
def test_a_line_that_is_no_dead_letter_is_named(line, said):
    with pytest.raises(ToolError, match=said):
        list(read_dead_letters([b"", line], TOPICS))


def silence_of(*arguments):
    letter = control(control_body(parser().parse_args(["control", *arguments, "--who", "ann"]), NOW))
    # As of the time of the command line.
    place = Place("t", 0, 0, round(NOW.timestamp() * 1_000_000), NO_MINUTE)
    found = ControlDecoder({}).decode(letter.value, place).silence
    assert found is not None
    assert found.id in letter.name
    return found


def test_a_snooze_lasts_as_long_as_was_said():
    assert silence_of("snooze", "--project", "7", "--for", "2d").duration_us == 2 * 86_400_000_000
    found = silence_of("snooze", "--project", "7", "--until", "2025-06-15T04:00")
    assert found.duration_us == 4 * 3_600_000_000


def test_a_maintenance_is_what_its_options_say():
    found = silence_of(
        *("maintenance", "--organization", "3", "--slug", "db-*", "--owner", "team:*", "--for", "2h"),
        *("--rrule", "FREQ=WEEKLY", "--start", "2025-06-22T02:00", "--timezone", "Europe/Vienna"),
        *("--misses-do-not-count", "--id", "db", "--note", "disks"),
    )
    assert (found.id, found.organization_id, found.slug, found.owner) == ("db", 3, "db-*", "team:*")
    assert (found.rrule, found.zone, found.misses_count) == ("FREQ=WEEKLY", "Europe/Vienna", False)
    assert found.duration_us == 2 * 3_600_000_000
    once = silence_of("maintenance", "--project", "7", "--for", "30m")
    assert (once.start_us, once.duration_us) == (round(NOW.timestamp() * 1_000_000), 1_800_000_000)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["snooze", "--project", "7", "--for", "soon"], "--for soon: must be a number and m, h or d"),
        (
            ["maintenance", "--project", "7", "--rrule", "FREQ=DAILY", "--end", "2026-01-01"],
            "--rrule needs --for",
        ),
        (["maintenance", "--project", "7", "--start", "soon", "--for", "1h"], "--start soon: is not"),
        (
            ["maintenance", "--project", "7", "--rrule", "FREQ=SECONDLY", "--for", "1h"],
            "INVALID_CONTROL: rrule: FREQ must be one of",
        ),
    ],
)
def test_a_silence_that_the_flow_would_refuse_is_not_sent(arguments, reason):
    with pytest.raises(ToolError) as refused:
        control_of(*arguments)
    assert str(refused.value).startswith(reason)
