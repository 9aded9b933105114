"""Minutes and microseconds: two kinds of whole number that mypy keeps apart, at no cost at run time.

At run time both are `int`. For mypy they are subclasses of it, with the arithmetic that makes sense: a minute and a
number of minutes make a minute, two minutes are apart by a number, microseconds divided by `MINUTE_US` are a minute,
and a minute times `MINUTE_US` is microseconds. (A NewType would lose its kind with each addition.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import overload

    class _MinuteLength(int):
        """The type of MINUTE_US alone."""

    class Minute(int):
        """Whole minutes since the epoch."""

        def __add__(self, other: int) -> Minute: ...
        def __radd__(self, other: int) -> Minute: ...
        @overload
        def __sub__(self, other: Minute) -> int: ...  # type: ignore[overload-overlap]
        @overload
        def __sub__(self, other: int) -> Minute: ...
        def __sub__(self, other: int) -> int: ...
        @overload
        def __mul__(self, other: _MinuteLength) -> Microseconds: ...
        @overload
        def __mul__(self, other: int) -> int: ...
        def __mul__(self, other: int) -> int: ...

    class Microseconds(int):
        """Microseconds since the epoch."""

        def __add__(self, other: int) -> Microseconds: ...
        def __radd__(self, other: int) -> Microseconds: ...
        @overload
        def __sub__(self, other: Microseconds) -> int: ...  # type: ignore[overload-overlap]
        @overload
        def __sub__(self, other: int) -> Microseconds: ...
        def __sub__(self, other: int) -> int: ...
        @overload
        def __floordiv__(self, other: _MinuteLength) -> Minute: ...
        @overload
        def __floordiv__(self, other: int) -> int: ...
        def __floordiv__(self, other: int) -> int: ...
        def __neg__(self) -> Microseconds: ...

    MINUTE_US = _MinuteLength(60_000_000)
    NO_MINUTE = Minute(-1)
    FAR_MINUTE = Minute(2**41)
    NO_TIME = Microseconds(-1)
else:
    Minute = int
    """Whole minutes since the epoch."""
    Microseconds = int
    """Microseconds since the epoch."""
    MINUTE_US = 60_000_000
    """Microseconds in a minute."""
    NO_MINUTE = -1
    """Stands for "no such minute"."""
    FAR_MINUTE = 2**41
    """A minute that is never reached: the deadline of what has none."""
    NO_TIME = -1
    """Stands for "never", in µs."""
