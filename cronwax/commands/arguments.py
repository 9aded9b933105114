"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class ToolError(Exception):
    """What was asked for cannot be done; the text says why, in one line."""


class OneLineParser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line and status 2; `--help` shows the rest."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write the help; unlike argparse's own, raises OSError where it cannot be written."""
        (sys.stdout if file is None else file).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(2, f"cronwax: {message} (see {self.prog} --help)\n")


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    print(f"cronwax: {message}", file=sys.stderr, flush=True)


def show_warnings() -> None:
    """Let what the Kafka client reports by itself come out like every other complaint."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("cronwax: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger("cronwax").addHandler(handler)
