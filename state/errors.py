"""What can go wrong with the state on disk."""

from __future__ import annotations


class StateError(Exception):
    """A database file cannot be opened, written or published; the text names it and says why, in one line."""


def reason(error: BaseException) -> str:
    """An exception's text on one line; the engine's own goes on with hints and carets."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
