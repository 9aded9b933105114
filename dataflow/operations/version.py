"""The version of this release."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def own_version() -> str:
    """The version that is running: a checkout's own file says it, an installed package's metadata."""
    try:
        with _PROJECT.open("rb") as file:
            project = tomllib.load(file).get("project", {})
        if project.get("name") == "cronwax":
            return str(project["version"])
    except (OSError, tomllib.TOMLDecodeError):
        pass  # installed
    try:
        return version("cronwax")
    except PackageNotFoundError:
        return "unknown"
