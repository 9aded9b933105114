"""Configs as snapshots hold them: each is read once, however many monitors share it."""

from __future__ import annotations

from msgspec import Raw

from dataflow.monitors.config import MonitorConfig, shared
from dataflow.stream.codecs import block_decoder

_decode = block_decoder(MonitorConfig)
_NONE = b"\xc0"
"""As msgpack says it."""


class SavedConfigs:
    """The configs of one restored snapshot."""

    def __init__(self) -> None:
        self._known: dict[bytes, MonitorConfig] = {}

    def of(self, saved: Raw) -> MonitorConfig:
        """The one object for all configs that are equal. Raises msgspec.DecodeError."""
        return self._of(bytes(saved))

    def of_any(self, saved: Raw) -> MonitorConfig | None:
        """The same, where there may be none."""
        data = bytes(saved)
        return None if data == _NONE else self._of(data)

    def _of(self, data: bytes) -> MonitorConfig:
        config = self._known.get(data)
        if config is None:
            config = self._known[data] = shared(_decode(data))
        return config
