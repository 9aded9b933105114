"""The catalogue of messages names just the fields that the flow sends."""

from __future__ import annotations

import json

import pytest

from dataflow.monitors.volume_judge import SystemIncident
from dataflow.wire.message_catalogue import PAYLOADS
from dataflow.wire.stalls import Stall, stall_message
from dataflow.wire.system_incidents import system_incident_message
from tests.builders import START_S, check_in, control, pulse
from tests.flow.memory import run

DAY = 86_400
NIGHTLY = {"schedule": {"type": "crontab", "value": "0 0 * * *"}}


def sent_about_monitors():
    """A monitor that succeeds once, is missed for a month, and then succeeds again."""
    world = run([check_in(10, number=1, config=NIGHTLY), pulse(40 * DAY), check_in(40 * DAY + 10, number=2)])
    return [json.loads(message) for message in world.messages.values()]


def sent_about_people():
    """An incident that is acknowledged, which is taken back; a snooze that is ended."""
    known = {"project_id": 1, "monitor_slug": "m", "who": "ann"}
    lines = [
        check_in(10, status="error", config=NIGHTLY),
        control(20, "acknowledge_incident", **known),
        control(30, "acknowledge_incident", **known, acknowledged=False),
        control(40, "snooze", project_id=1, until=START_S + DAY, silence_id="s"),
        control(50, "end_silence", project_id=1, silence_id="s"),
    ]
    return [json.loads(message) for message in run(lines).messages.values()]


def sent_about_the_flow():
    for kind in ("clock", "partition", "sink"):
        for is_over in (False, True):
            yield json.loads(stall_message(Stall(kind, "x", 0, 0, 120.0, is_over)).payload)
    for incident in (SystemIncident(1, 3, 0, 9.0), SystemIncident(1, 3, 0, 9.0, 9, 10)):
        yield json.loads(system_incident_message(incident)[0].payload)


@pytest.fixture(scope="module")
def sent():
    return [*sent_about_monitors(), *sent_about_people(), *sent_about_the_flow()]


def test_each_kind_of_message_is_in_the_catalogue_and_no_other(sent):
    assert {message["payload_type"] for message in sent} == set(PAYLOADS)


def test_the_catalogue_names_the_fields_in_the_order_in_which_they_are_sent(sent):
    assert [list(message) for message in sent] == [
        list(PAYLOADS[message["payload_type"]].fields) for message in sent
    ]


def test_a_message_about_the_flow_has_no_row():
    assert {name for name, each in PAYLOADS.items() if not each.has_row} == {
        name for name in PAYLOADS if name.endswith(("_stalled", "_recovered"))
    }
