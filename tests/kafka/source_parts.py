"""The Kafka source and its partitions, by a clock that a test gives."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from dataflow.connectors.host_clock import PROOF_US
from dataflow.connectors.kafka_source import KafkaSource
from tests.kafka.check_in_stream import ENDLESS_SECONDS
from tests.kafka.topics import messages_of

MINUTE = 29_000_000
"""The minute (since the epoch) in which the messages of these tests begin: in 2025."""
T0 = MINUTE * 60_000
"""The same in ms."""
LATER_US = (MINUTE + 100) * 60_000_000
"""The wall clock of most tests: 100 minutes later."""


def never():
    return False


def source_of(settings, now_us=LATER_US, **options):
    if now_us is None:  # the wall clock has no say
        settings = settings.model_copy(update={"kafka_idle_allowance_seconds": ENDLESS_SECONDS})
        now_us = LATER_US
    # As if the process had run for long: nothing waits for a proof of the broker's time.
    options.setdefault("elapsed_us", count(0, PROOF_US).__next__)
    return KafkaSource(settings, options.pop("stopping", never), now_us=lambda: now_us, **options)


def part_of(settings, partition=0, state=None, **options):
    source = source_of(settings, **options)
    return source.build_part("input", f"{settings.checkins_topic}/{partition}", state)


def run_until(settings, count, recovery=None):
    """Run a flow that ends once it has so many messages; its batches."""
    seen: list[Any] = []
    source = source_of(settings, stopping=lambda: len(messages_of(seen)) >= count, now_us=None)
    flow = Dataflow("read")
    op.output("output", op.input("input", flow, source), TestingSink(seen))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=recovery)
    return seen
