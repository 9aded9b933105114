"""Starting: settings, preflight, endpoints, the flow; whatever is wrong comes out as one line."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from bytewax.dataflow import Dataflow

from dataflow.process.engine_output import reopen_standard_files
from dataflow.process.engine_stderr import report_in_one_line
from dataflow.process.exit import StartError, end_process
from dataflow.process.local_zone import ignore_local_zone
from dataflow.process.log import warn
from dataflow.process.stopping import watch_signals

_COLLECTOR_THRESHOLDS = (50_000, 50, 1_000)
"""The state is out of the garbage collector's sight, and an epoch's records are no garbage: Python's own thresholds
make it look through them again and again, a tenth of a replay's time (docs/performance.md)."""


SWITCH_SECONDS = 0.0002
"""The longest that the flow waits for the GIL while the thread that writes the tables holds it. Python's own 5 ms,
about ten times a batch, were most of what a message waited at the end of an epoch."""


def tune_interpreter() -> None:
    """Let the garbage collector look less often, and threads give way sooner, for the rest of the process."""
    from dataflow.operations.pauses import watch_collector

    watch_collector()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)


def _leave_to_be_started_again() -> None:
    """The last thing that a process does, if it stopped by itself: say why, and ask for a restart by its status."""
    from dataflow.process.stopping import restart_reason

    if (reason := restart_reason()) is not None:
        end_process(reason, 1)


def start() -> Dataflow:
    """The flow that the settings describe. Raises FlowError, mostly StartError."""
    atexit.register(_leave_to_be_started_again)
    ignore_local_zone()
    reopen_standard_files()  # before anything is opened that could get their numbers
    watch_signals()
    report_in_one_line()
    # After that, as they take the better part of a second, in which somebody may think better of it.
    from dataflow.connectors.jsonl_source import SourceError
    from dataflow.endpoints import open_endpoints
    from dataflow.flow import BLOCKS, FLOW_ID, build
    from dataflow.process.engine_stdout import report_missing
    from dataflow.process.open_files import allow_open_files
    from dataflow.process.preflight import (
        check_data_dir,
        check_metrics,
        check_recovery_store,
        check_workers,
        read_arguments,
    )
    from dataflow.process.recovery_store import (
        drop_broken_off,
        drop_broken_off_of_cluster,
        drop_given_up,
        hold_store,
        hold_whole_store,
    )
    from dataflow.process.unused import said_at_start
    from dataflow.settings import Settings, SettingsError

    arguments = read_arguments(sys.argv, os.environ)
    check_metrics(os.environ)
    try:
        settings = Settings.load()
        os.umask(int(settings.umask, 8))  # before anything is made
        check_workers(arguments.workers, settings)
        endpoints = open_endpoints(settings, arguments.addresses is not None)
    except (SettingsError, SourceError) as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}") from None
    check_data_dir(settings.data_dir)
    for line in said_at_start(settings):
        warn("unused", text=f"cronwax: {line}")
    if settings.source == "kafka":
        allow_open_files(len(endpoints.sources["kafka"].list_parts()), len(arguments.addresses or "1"))
    parts = {f"source_{name}": source.list_parts() for name, source in endpoints.sources.items()}
    check_recovery_store(arguments.recovery_store, FLOW_ID, settings, parts)
    if arguments.recovery_store is not None:
        if arguments.addresses is None:
            hold_whole_store(arguments.recovery_store, arguments.process_name)
            drop_broken_off(arguments.recovery_store)
        else:
            hold_store(arguments.recovery_store, arguments.process_name)
            drop_broken_off_of_cluster(arguments.recovery_store)
        drop_given_up(arguments.recovery_store, BLOCKS)
    if arguments.addresses is not None:
        report_missing(arguments.addresses)
    tune_interpreter()
    return build(settings, endpoints, arguments.recovery_store)
