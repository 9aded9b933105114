"""The fuzzer's short form: mutated messages end nothing, lose nothing, and change nothing of other monitors."""

import os

import pytest

from benchmarks.fuzz import compare
from benchmarks.fuzz_traffic import Traffic

pytestmark = pytest.mark.kafka

MESSAGES = 20_000 if os.environ.get("CRONWAX_TEST_FULL") == "1" else 5_000


def test_mutated_messages_end_nothing_lose_nothing_and_change_nothing_of_others(own_broker, tmp_path):
    wild = compare(own_broker.bootstrap, tmp_path, Traffic(MESSAGES), publish_interval="1")
    assert wild.ledger.wild > MESSAGES * 0.8
    assert wild.ledger.unreadable > MESSAGES * 0.2
