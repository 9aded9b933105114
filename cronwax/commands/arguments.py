"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


NEARLY = 0.6
"""Minimum similarity (difflib ratio, 0 to 1) at which a wrong name brings a suggestion."""


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


class UsageError(Exception):
    """The command line is wrong; the text says what, in one line."""


def data_dir() -> Path:
    """The data folder when no option names one."""
    return path(os.environ.get("CRONWAX_DATA_DIR") or "data")


def path(word: str) -> Path:
    """A path as it was typed; `~` is the home folder, also where the shell has left it (`--out=~/page.html`)."""
    return Path(os.path.expanduser(word))


def near(word: str, names: Iterable[str]) -> str:
    """A hint at the names that are nearly the same as a word; nothing, if none is."""
    found = get_close_matches(word, names, 3, NEARLY)
    return f"; do you mean {' or '.join(found)}?" if found else ""


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """What reads an option's whole number."""

    def read(word: str) -> int:
        if not (word.isascii() and word.isdecimal() and least <= int(word[:20]) <= most):
            raise argparse.ArgumentTypeError(f"{word} is not a whole number from {least} to {most}")
        return int(word)

    return read


def check_setting_names() -> None:
    """Refuse a variable that is nearly a setting's, as the flow does. Raises UsageError."""
    known = ("CRONWAX_DATA_DIR", "CRONWAX_PROGRAM", "CRONWAX_PYTHON")
    if all(name in known for name in os.environ if name.upper().startswith("CRONWAX_")):
        return
    from dataflow.settings import misspelt_settings  # slow to import

    if wrong := misspelt_settings(os.environ):
        raise UsageError("; ".join(wrong))


def are_settings_misspelt() -> bool:
    """The same as a complaint; whether there was one."""
    try:
        check_setting_names()
    except UsageError as error:
        complain(str(error))
        return True
    return False


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    print(f"cronwax: {message}", file=sys.stderr, flush=True)


class _Warnings(logging.StreamHandler[Any]):
    """Shows warnings like every other complaint; until `let_out`, holds them back."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("cronwax: %(message)s"))
        self.setLevel(logging.WARNING)
        self._held: list[logging.LogRecord] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        """Hold it, or show it."""
        if self._held is None:
            super().emit(record)
        else:
            self._held.append(record)

    def let_out(self) -> None:
        """Show what was held, and from now on what comes."""
        held, self._held = self._held or [], None
        for record in held:
            super().emit(record)


def show_warnings() -> Callable[[], None]:
    """Let what the Kafka client reports by itself come out like every other complaint, once what is returned is called.

    To be called when the cluster has answered: where it does not, the error says why, and the client's own lines before
    it would say the same.
    """
    handler = _Warnings()
    logging.getLogger("cronwax").addHandler(handler)
    return handler.let_out
