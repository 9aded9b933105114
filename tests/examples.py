"""How many examples a property test draws."""

from __future__ import annotations

import os

MOST_FOR_A_MUTANT = 12
"""Thousands of mutants are tested, each by many tests, and one failing example is enough."""


def examples(usual: int) -> int:
    """What `max_examples` shall be: as given, or less in a run over mutants (`./run.sh mutants`)."""
    return min(usual, MOST_FOR_A_MUTANT) if "MUTANT_UNDER_TEST" in os.environ else usual
