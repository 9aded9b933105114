"""Cronwax's dataflow. `flow` is made when it is first asked for: `python -m bytewax.run dataflow:flow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytewax.dataflow import Dataflow

    flow: Dataflow


def __getattr__(name: str) -> Any:
    if name != "flow":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dataflow.start import start

    value = globals()["flow"] = start()
    return value
