"""The ends of the flow, as the settings choose them."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import Sink
from prometheus_client import REGISTRY

from dataflow.connectors.announcer import Announcer
from dataflow.connectors.background_writer import DeferredSink
from dataflow.connectors.demo_source import DEMO_PROJECTS, STORIES, DemoSource
from dataflow.connectors.duckdb_sink import TablesSink
from dataflow.connectors.instrumented_sinks import WatchedSink, WatchedTables
from dataflow.connectors.intake_log import FOLDER, open_log
from dataflow.connectors.intake_source import IntakeSource
from dataflow.connectors.jsonl_sink import dead_letters_sink, occurrences_sink
from dataflow.connectors.jsonl_source import FileSource
from dataflow.connectors.kafka_sinks import DeadLettersSink, OccurrencesSink
from dataflow.connectors.kafka_source import KafkaSource
from dataflow.connectors.progress import Progress
from dataflow.operations.logs import configure_logs, log_start
from dataflow.operations.metrics import count_dead_letters, show_disk_left
from dataflow.operations.probes import Probes, serve_probes
from dataflow.operations.vitals import Vitals
from dataflow.operations.watchdog import FOLDER as STALLED_FOLDER
from dataflow.operations.watchdog import Watchdog, WatchdogThread
from dataflow.process.log import log
from dataflow.process.stopping import stop_to_restart, stopping
from dataflow.settings import Settings
from dataflow.stream.batch import SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.items import DeadLetter, Message, Records
from dataflow.wire.stalls import Stall


@dataclass(frozen=True)
class Endpoints:
    """Where the flow begins and ends."""

    sources: dict[str, FixedPartitionedSource[SourceBatch, Any]]
    """By name; the steps that read them are called `source_NAME`."""
    inputs: Inputs
    """The partitions of the sources, and where controls may be."""
    projects: dict[int, int]
    """Organizations of projects."""
    tables: Sink[tuple[str, Records]]
    occurrences: Sink[tuple[str, Message]]
    dead_letters: Sink[tuple[str, DeadLetter]]
    is_at_end: Callable[[], bool] = lambda: not stopping()
    """Asked when the sources have ended: whether that is the end of the input, and nobody has stopped them."""
    shared: Path | None = None
    """The data folder, where bounded sources belong to several processes."""


def open_endpoints(settings: Settings, shares_reading: bool = False) -> Endpoints:
    """Find the sources and sinks. `shares_reading`: other processes read partitions, too.

    Raises SettingsError, SourceError or LogError, each with one clear line, or StartError.
    """
    projects = settings.projects()
    shared = settings.data_dir if shares_reading else None
    source: Any
    if settings.source == "kafka":
        return _kafka(settings, projects, shared)
    if settings.source == "intake":
        return _intake(settings, projects, shared)
    tables = DeferredSink(TablesSink(settings, bounded=True))
    if settings.source == "file" and settings.reads_log:
        assert settings.checkins_path is not None
        source = IntakeSource(
            settings.checkins_path, settings, projects, stopping, bounded=True, shared=shared
        )
    elif settings.source == "file":
        assert settings.checkins_path is not None
        progress = Progress.create(None, "bytes")
        source = FileSource(
            settings.checkins_path,
            settings.batch_size,
            stopping,
            progress,
            settings.clock_delay_us,
            projects,
            tables.settle,
            shared,
        )
    else:
        progress = Progress.create(None, "messages")
        story = STORIES[settings.demo_story]
        source = DemoSource(settings.batch_size, stopping, progress, settings.clock_delay_us, story)
        projects = {**DEMO_PROJECTS, **projects}
    return Endpoints(
        {settings.source: source},
        source.inputs,
        projects,
        tables,
        occurrences_sink(settings.data_dir / "occurrences.jsonl"),
        dead_letters_sink(settings.data_dir / "dead_letters.jsonl"),
        shared=shared,
    )


def _intake(settings: Settings, projects: dict[int, int], shared: Path | None) -> Endpoints:
    configure_logs()
    log_start(settings, sys.argv[1:])
    folder = settings.data_dir / FOLDER
    open_log(folder, settings.intake_partitions)
    vitals = _watch(settings)
    source = IntakeSource(folder, settings, projects, stopping, vitals.partition, shared=shared)
    occurrences = occurrences_sink(settings.data_dir / "occurrences.jsonl")
    dead_letters = dead_letters_sink(settings.data_dir / "dead_letters.jsonl")
    return Endpoints(
        {"intake": source},
        source.inputs,
        projects,
        WatchedTables(TablesSink(settings, bounded=False), vitals, source.origins),
        WatchedSink("occurrences", occurrences, vitals),
        WatchedSink("dead_letters", dead_letters, vitals, count_dead_letters),
    )


def _kafka(settings: Settings, projects: dict[int, int], shared: Path | None) -> Endpoints:
    configure_logs()
    log_start(settings, sys.argv[1:])
    vitals = _watch(settings)
    source = KafkaSource(settings, stopping, vitals.partition, changed=stop_to_restart, shared=shared)
    endpoints = Endpoints(
        {"kafka": source},
        source.inputs,
        projects,
        WatchedTables(TablesSink(settings, bounded=False), vitals, source.origins),
        WatchedSink("occurrences", OccurrencesSink(settings), vitals),
        WatchedSink("dead_letters", DeadLettersSink(settings), vitals, count_dead_letters),
    )
    log("ready", partitions=len(source.list_parts()), **source.checked())
    return endpoints


def _watch(settings: Settings) -> Vitals:
    """Start the watchdog of this process. It looks at the vitals that are returned. Raises KafkaStartError.

    With Kafka, stalls are sent as messages too.
    """
    vitals = Vitals(settings)
    send: Callable[[Stall, Callable[[], None]], None] = _only_logged
    poll = _nothing
    if settings.source == "kafka":
        announcer = Announcer(settings)
        send, poll = announcer.send, announcer.poll
    REGISTRY.register(vitals)
    watchdog = Watchdog(vitals, settings.stall_seconds, settings.data_dir / STALLED_FOLDER, send)
    thread = WatchdogThread(watchdog, poll)
    thread.start()
    atexit.register(thread.end)
    show_disk_left(settings.data_dir)
    if settings.probe_address is not None:
        probes = Probes(vitals, settings.stall_seconds, settings.data_dir)
        atexit.register(serve_probes(settings.probe_address, probes))
    return vitals


def _only_logged(stall: Stall, delivered: Callable[[], None]) -> None:
    """Without Kafka a stall is in the log, in the metrics and in the data folder, and that is all."""
    delivered()


def _nothing() -> None:
    """There are no deliveries to hear of."""
