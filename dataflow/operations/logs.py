"""Log lines on stderr, as key=value, and what is logged of a process as a whole: its start and its end."""

from __future__ import annotations

import atexit
import json
import logging
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import confluent_kafka

from dataflow.operations.version import own_version
from dataflow.process.log import LOGGER, log
from dataflow.process.stopping import stop_reason
from dataflow.settings import Settings

_PLAIN = re.compile(r"[^\s\"=\\]+")


class _KeyValues(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
        }
        fields: dict[str, object] | None = getattr(record, "fields", None)
        if fields is None:  # a line of a library that logs below our name
            line |= {"event": record.name.rpartition(".")[2], "text": record.getMessage()}
        else:
            line |= {"event": record.event, **fields}  # type: ignore[attr-defined]
        return " ".join(f"{name}={_value(value)}" for name, value in line.items() if value is not None)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what sys.stderr is at the time: the start puts another stream in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure_logs() -> None:
    """From now on log lines come out. What the engine's own libraries log does not concern whoever runs the flow."""
    if not any(isinstance(handler, _Stderr) for handler in LOGGER.handlers):
        handler = _Stderr()
        handler.setFormatter(_KeyValues())
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)


def log_start(settings: Settings, arguments: list[str]) -> None:
    """Log one line about what begins; and, when the process ends in order, one about that.

    No secret is in it: of Kafka's options only the names.
    """
    shown: dict[str, Any] = settings.model_dump(exclude_none=True)
    shown["kafka_config"] = ",".join(sorted(settings.kafka_config)) or None
    shown["retention_days_by_table"] = json.dumps(settings.retention_days_by_table, sort_keys=True)
    versions = {
        "version": own_version(),
        "python": platform.python_version(),
        "bytewax": version("bytewax"),
        "duckdb": version("duckdb"),
        "librdkafka": confluent_kafka.libversion()[0],
    }
    log("start", **versions, arguments=" ".join(arguments), **shown)
    atexit.register(_log_stop)


def _log_stop() -> None:
    log("stop", reason=stop_reason() or "the flow ended")


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)
