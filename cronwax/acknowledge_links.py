"""Links in notifications by which whoever reads one acknowledges its incident: the notifier makes them, the intake
takes them.

Nobody logs in here, so a link carries its right with it: a code that only a holder of the key can make, good for one
incident. The key is a file in the data folder, which both have.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

KEY_FILE = "acknowledge.key"
PREFIX = "acknowledge"
"""Of the path."""
_KEY_BYTES = 32
_CODE_DIGITS = 32


class Subject(NamedTuple):
    """The incident that a link is about."""

    project_id: int
    slug: str
    environment: str
    incident_id: str


def link_key(data_dir: Path) -> bytes:
    """The key; made where there is none, by whoever asks first. Raises OSError; ValueError if the file holds no key."""
    path = data_dir / KEY_FILE
    with suppress(FileExistsError):
        unfinished = data_dir / f".{KEY_FILE}.{os.getpid()}"
        if not path.exists():
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, secrets.token_hex(_KEY_BYTES).encode())
                os.fsync(descriptor)
                os.link(unfinished, path)  # which is there whole, or not at all
            finally:
                os.close(descriptor)
                unfinished.unlink()
    key = path.read_bytes().strip()
    if len(key) != 2 * _KEY_BYTES:
        raise ValueError(f"{path}: holds no key; remove it, and links that were sent hold no longer")
    return key


def link_of(base: str, key: bytes, subject: Subject) -> str:
    """The link. `base` is the address at which people reach the intake."""
    parts = (str(subject.project_id), subject.slug, subject.environment, subject.incident_id)
    return "/".join(
        [base.rstrip("/"), PREFIX, *(quote(part, safe="") for part in parts), code_of(key, subject)]
    )


def code_of(key: bytes, subject: Subject) -> str:
    """What shows that a link was made by a holder of the key."""
    text = "\x1f".join(map(str, subject)).encode("utf-8", "surrogatepass")
    return hmac.new(key, text, sha256).hexdigest()[:_CODE_DIGITS]


def is_made_by(key: bytes, subject: Subject, code: str) -> bool:
    """Whether a code is that of the subject; how long that takes says nothing of it."""
    return hmac.compare_digest(code_of(key, subject).encode(), code.encode("utf-8", "surrogatepass"))
