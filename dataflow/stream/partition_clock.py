"""The clock of one source partition."""

from __future__ import annotations

from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Minute


class PartitionClock:
    """The minute of a partition's newest broker timestamp, less the clock's delay. It never goes back."""

    __slots__ = ("_delay_us", "_next_us", "minute")

    def __init__(self, minute: int = NO_MINUTE, delay_us: int = 0) -> None:
        """`minute`: where the clock stands; NO_MINUTE if no message has set it yet."""
        self.minute = Minute(minute)
        """To be read only."""
        self._delay_us = delay_us
        self._next_us = (minute + 1) * int(MINUTE_US) + delay_us
        """The first timestamp that moves the clock."""

    @property
    def time_us(self) -> int | None:
        """Where the clock stands, in µs; None if no message has set it yet."""
        return self.minute * int(MINUTE_US) if self.minute != NO_MINUTE else None

    def take(self, received_us: int | None) -> None:
        """A message has this broker timestamp; None: it has none that can be read."""
        if received_us is not None and received_us >= self._next_us:
            self.reach((received_us - self._delay_us) // int(MINUTE_US))

    def reach(self, minute: int) -> None:
        """Everything before this minute has been read."""
        if minute > self.minute:
            self.minute = Minute(minute)
            self._next_us = (minute + 1) * int(MINUTE_US) + self._delay_us
