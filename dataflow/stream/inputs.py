"""What the gate knows of the partitions that are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Inputs:
    """The partitions of a flow, and where controls may be."""

    names: Sequence[str]
    """The inputs of the event clock; a batch's `origin` is an index into it."""
    controls: Sequence[str] = ()
    """Partitions that hold controls only: origins -1, -2 and so on."""
    any_may_hold_controls: bool = False
    """There may be controls among the messages of `names`."""
    slack_us: int = 0
    """Items that are nearer to each other than this may act in the order of their arrival."""

    @property
    def are_ordered(self) -> bool:
        """Whether a control may come from another input than the check-ins that it is in order with. If not, what an
        input holds is in order as it is."""
        return bool(self.controls) or (self.any_may_hold_controls and len(self.names) > 1)
