"""This machine's own time zone, which plays no part in anything."""

from __future__ import annotations

import os
import time


def ignore_local_zone() -> None:
    """Make the C library's calendar UTC's for the rest of the process, whatever `TZ` says.

    Where `TZ` names a zone of `right/`, that calendar counts leap seconds, and Python's `datetime.fromtimestamp` with
    UTC, which goes by it, is off by half a minute.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
