"""Few entries make several blocks, and all of them go to keys of their own."""

from __future__ import annotations

import pytest

from dataflow.steps import gate_state, saved_entries, snapshot_blocks, transition_state


def make_pieces_small(patch: pytest.MonkeyPatch) -> None:
    """For what is tested with a handful of monitors."""
    patch.setattr(transition_state, "ENCODED_AT_ONCE", 2)
    patch.setattr(transition_state, "REWRITTEN_AT_ONCE", 2)
    patch.setattr(transition_state, "_LEAST_BYTES", 100)
    patch.setattr(transition_state, "_OUTDATED_MORE", 4)
    patch.setattr(saved_entries, "ENCODED_AT_ONCE", 2)
    patch.setattr(saved_entries, "REWRITTEN_AT_ONCE", 2)
    patch.setattr(gate_state, "COUNTS_AT_ONCE", 2)
    patch.setattr(snapshot_blocks, "SMALL_BLOCK", 3)
    patch.setattr(snapshot_blocks, "_SMALLEST_KEPT", 0)
