"""Starting: settings, preflight, endpoints, the flow; whatever is wrong comes out as one line."""

from __future__ import annotations

import os
import sys

from bytewax.dataflow import Dataflow

from dataflow.connectors.endpoints import open_endpoints
from dataflow.connectors.files import SourceError
from dataflow.connectors.stopping import watch_signals
from dataflow.failure import StartError
from dataflow.flow import FLOW_ID, build
from dataflow.preflight import check_data_dir, check_recovery_store, recovery_directory
from dataflow.settings import Settings, SettingsError


def start() -> Dataflow:
    """The flow that the settings describe. Raises StartError (exit status 2, one line)."""
    try:
        settings = Settings.load()
        endpoints = open_endpoints(settings)
    except (SettingsError, SourceError) as error:
        raise StartError(str(error)) from None
    check_data_dir(settings.data_dir)
    parts = {f"source_{name}": source.list_parts() for name, source in endpoints.sources.items()}
    check_recovery_store(recovery_directory(sys.argv, os.environ), FLOW_ID, settings, parts)
    watch_signals()
    return build(settings, endpoints)
