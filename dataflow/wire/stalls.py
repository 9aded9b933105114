"""Messages about the flow itself: something is stalled or too far behind, and that is over."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from dataflow.stream.items import Message

KEY = "cronwax"
"""The key of all messages about the flow itself: they keep their order."""
_BLIND = {
    "clock": "misses and time-outs after that are not noticed",
    "partition": "what came after that has not been seen",
    "sink": "what was found since then is not delivered",
}
"""What it means that something is stalled."""


class Stall(NamedTuple):
    """Something has stopped or is too far behind; or that is over."""

    kind: str
    """`clock`, `partition` or `sink`."""
    subject: str
    """Its name: `event clock`, `ingest-monitors/3`, `tables`."""
    since_us: int
    """How far it had come when that was noticed."""
    noticed_us: int
    limit_seconds: float
    is_over: bool

    @property
    def payload_type(self) -> str:
        """`clock_stalled`, `sink_recovered` and so on."""
        return f"{self.kind}_{'recovered' if self.is_over else 'stalled'}"

    @property
    def text(self) -> str:
        """What it means, for people, in one line."""
        name = self.subject if self.kind == "clock" else f"{self.kind} {self.subject}"
        since = f"{_moment(self.since_us):%Y-%m-%dT%H:%M:%SZ}"
        if self.is_over:
            return f"the {name} has caught up; it was stalled at {since}"
        return (
            f"the {name} has reached {since} and is more than {self.limit_seconds:g} s behind: "
            f"{_BLIND[self.kind]}"
        )


def stall_message(stall: Stall) -> Message:
    """The message about it. Its id derives from what stalled and since when: sent again, it has the same id."""
    about = "\x1f".join((stall.payload_type, stall.subject, str(stall.since_us)))
    body: dict[str, Any] = {
        "payload_type": stall.payload_type,
        "id": blake2b(about.encode(), digest_size=16, person=b"stall").hexdigest(),
        "subject": stall.subject,
        "since": stall.since_us / 1e6,
        "limit_seconds": stall.limit_seconds,
        "detection_time": stall.noticed_us / 1e6,
        "text": stall.text,
    }
    return Message(body["id"], KEY, msgspec.json.encode(body))


def _moment(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1e6, UTC)
