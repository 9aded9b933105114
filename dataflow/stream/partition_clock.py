"""The clock of one source partition."""

from __future__ import annotations

from dataflow.monitors.times import MINUTE_US, NO_MINUTE, Microseconds, Minute

EARLIEST_US = 1_293_840_000_000_000
"""2011-01-01: before that there was no broker that could have set a timestamp."""
BEHIND_MINUTES = 31 * 24 * 60
"""A timestamp further behind its partition's clock than this cannot be true either (SPEC, section 6)."""
BEHIND_US = BEHIND_MINUTES * int(MINUTE_US)


class PartitionClock:
    """The minute of a partition's newest broker timestamp, less the clock's delay. It never goes back.

    A timestamp before `floor_us` cannot be true. It moves no clock, and counts as `counted_us`.
    """

    __slots__ = ("_delay_us", "floor_us", "minute", "next_us", "usual_us")

    def __init__(self, minute: int = NO_MINUTE, delay_us: int = 0) -> None:
        """`minute`: where the clock stands; NO_MINUTE if no message has set it yet."""
        self._delay_us = delay_us
        self._stand_at(minute)

    def _stand_at(self, minute: int) -> None:
        self.minute = Minute(minute)
        """To be read only."""
        self.next_us = max((minute + 1) * int(MINUTE_US) + self._delay_us, EARLIEST_US)
        """The first timestamp that moves the clock."""
        self.floor_us = max((minute - BEHIND_MINUTES) * int(MINUTE_US), EARLIEST_US)
        """The first timestamp that can be true."""
        self.usual_us = self.next_us + BEHIND_US if minute != NO_MINUTE else EARLIEST_US
        """Up to here the clock goes without a leap: after one, a timestamp as before would be too far behind."""

    @property
    def time_us(self) -> int | None:
        """Where the clock stands, in µs; None if no message has set it yet."""
        return self.minute * int(MINUTE_US) if self.minute != NO_MINUTE else None

    def take(self, received_us: int | None) -> None:
        """A message has this broker timestamp; None: it has none that can be read."""
        if received_us is not None and received_us >= self.next_us:
            self.reach((received_us - self._delay_us) // int(MINUTE_US))

    def reach(self, minute: int) -> None:
        """Everything before this minute has been read."""
        if minute > self.minute:
            self._stand_at(minute)

    def counted_us(self, first_us: int | None = None) -> Microseconds:
        """What a time counts as that cannot be true: the end of the minute at which the clock stands, so that it moves
        no clock. Before the clock stands anywhere: of the minute to which the first true time (`first_us`) moves it;
        None: there is none, and nothing moves it.
        """
        minute: int = self.minute
        if minute == NO_MINUTE:
            if first_us is None:
                return Microseconds(EARLIEST_US - 1)
            minute = (first_us - self._delay_us) // int(MINUTE_US)
        return Microseconds((minute + 1) * int(MINUTE_US) - 1)
