"""Messages that are larger than a topic takes: cut in the topic, whole in the data folder."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

FOLDER = "large_messages"
"""Below the data folder."""
Headers = list[tuple[str, bytes]]


class LargeMessages:
    """Keeps whole what was cut. A replay writes the same file again."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def cut(self, identity: str, value: bytes, limit_bytes: int) -> tuple[bytes, Headers]:
        """The value, and no headers, if it is within the limit; else its beginning, and headers `length` (bytes),
        `sha256` and `file` (below the data folder) about the whole. Raises OSError when that cannot be written."""
        if len(value) <= limit_bytes:
            return value, []
        name = quote(identity, safe="")
        self._keep(name, value)
        about = {
            "length": str(len(value)),
            "sha256": sha256(value).hexdigest(),
            "file": f"{FOLDER}/{name}",
        }
        return value[:limit_bytes], [(header, text.encode()) for header, text in about.items()]

    def _keep(self, name: str, value: bytes) -> None:
        path = self._folder / name
        if path.exists() and path.stat().st_size == len(value):
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f"{name}.tmp")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
