"""Reads dashboards with the models that Grafana generates from its own schema, and writes them again.

`python tests/state/grafana_models.py FILE...`, with an interpreter that has `grafana-foundation-sdk`. What a model does
not know it leaves out: each such place is a line, and the exit status 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any


def lost(given: Any, written: Any, place: str = "") -> Iterator[str]:
    """Where the one has what the other has not; what is empty need not be written."""
    if isinstance(given, dict):
        for key, value in given.items():
            if isinstance(written, dict) and key in written:
                yield from lost(value, written[key], f"{place}/{key}")
            elif value not in ({}, [], None):
                yield f"{place}/{key}"
    elif isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        for number, (left, right) in enumerate(zip(given, written, strict=True)):
            yield from lost(left, right, f"{place}/{number}")
    elif given != written:
        yield place


def main(files: list[str]) -> int:
    """Check each file; the exit status."""
    package = "grafana_foundation_sdk"
    import_module(f"{package}.cog.plugins").register_default_plugins()
    dashboard = import_module(f"{package}.models.dashboard").Dashboard
    encoder = import_module(f"{package}.cog.encoder").JSONEncoder()
    strange = []
    for file in files:
        given = json.loads(Path(file).read_text(encoding="utf-8"))
        written = json.loads(encoder.encode(dashboard.from_json(given)))
        strange += [f"{Path(file).name}: {place}" for place in lost(given, written)]
    print(*strange, sep="\n")
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
