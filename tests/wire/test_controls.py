"""Controls become what the flow applies."""

from __future__ import annotations

import json

from dataflow.monitors.check_in import NO_MINUTE
from dataflow.wire.check_ins import Place
from dataflow.wire.controls import ControlDecoder

PLACE = Place("monitor-controls", 0, 14, 1_740_960_060_000_000, NO_MINUTE)
RULE = {
    "type": "upsert_sampling_rule",
    "organization_id": 3,
    "project_ids": [],
    "condition": {"op": "and", "inner": []},
    "start": 0,
    "end": 1,
    "num_samples": 1,
    "sample_rate": 1.0,
    "query": "",
}


def test_keys_of_other_controls_mean_nothing_to_a_sampling_rule():
    text = json.dumps(RULE | {"project_id": [7], "monitor_slug": "m"}).encode()
    control = ControlDecoder({7: 70}).decode(text, PLACE)
    assert (control.organization_id, control.project_id, control.slug) == (3, None, None)
    assert control.rule == text


def test_a_reset_names_a_monitor_and_maybe_an_environment():
    decoder = ControlDecoder({7: 70})
    of_all = {"type": "reset", "project_id": 7, "monitor_slug": "Nightly Job"}
    found = decoder.decode(json.dumps(of_all).encode(), PLACE)
    assert (found.kind, found.organization_id, found.slug, found.environment) == (
        "reset",
        70,
        "nightly-job",
        None,
    )
    found = decoder.decode(json.dumps(of_all | {"environment": ""}).encode(), PLACE)
    assert found.environment == "production"
