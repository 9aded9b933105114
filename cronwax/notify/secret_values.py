"""Secrets of targets: they stand in the environment or in files, and in no log, error or ledger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

_ENVIRONMENT, _FILE = "env:", "file:"
_MAX_BYTES = 65_536
_SHORT = 5
"""Parts of fewer letters are words: to hide them would hide the sentence."""


class SecretError(Exception):
    """A secret cannot be had; the text says which, in one line, and nothing of its value."""


def resolve(text: str) -> str:
    """The value: that of a variable (`env:NAME`), the content of a file (`file:/path`), or else the text itself.

    Raises SecretError.
    """
    if text.startswith(_ENVIRONMENT):
        name = text.removeprefix(_ENVIRONMENT)
        value = os.environ.get(name, "")
        if not value:
            raise SecretError(f"the variable {name} is not set")
        return value
    if text.startswith(_FILE) and not text.startswith("file://"):
        path = text.removeprefix(_FILE)
        try:
            with open(path, encoding="utf-8") as file:
                value = file.read(_MAX_BYTES).strip()
        except OSError as error:
            raise SecretError(f"the secret file {path}: {error.strerror}") from None
        except ValueError:
            raise SecretError(f"the secret file {path}: is no text") from None
        if not value:
            raise SecretError(f"the secret file {path}: is empty")
        return value
    return text


def is_reference(text: str) -> bool:
    """Whether a text names a secret instead of being one."""
    return text.startswith((_ENVIRONMENT, _FILE)) and not text.startswith("file://")


class Redactor:
    """Takes secrets out of what others say: of whole values, and of the parts of addresses."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found: set[str] = set()
        for secret in secrets:
            parts = (secret, *re.split(r"[/:@?&=#,\s]+", secret))
            found.update(part for each in parts for part in (each, unquote(each)) if len(part) >= _SHORT)
        # The longest first: a part may be in another.
        self._secrets = sorted(found, key=lambda part: (-len(part), part))

    def __call__(self, text: str) -> str:
        """The text in one line without them."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())
