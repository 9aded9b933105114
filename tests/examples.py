"""How many examples a property test draws."""

from __future__ import annotations

import os

MOST_FOR_A_MUTANT = 12
"""Thousands of mutants are tested, each by many tests, and one failing example is enough."""
LEAST = 5
IS_FULL = os.environ.get("CRONWAX_TEST_FULL") == "1"
"""Whether all is tried: every example, kill and round. Without it tests take a sample, in which each kind is there."""


def examples(full: int, *, always: bool = False) -> int:
    """What `max_examples` shall be: with CRONWAX_TEST_FULL=1 as given, otherwise a sixth of it.

    Each run draws others, so that what a sixth does not find in one it may find in the next. `always` is for a test
    that is derandomized, whose examples are the same in each run. Over mutants (`./run.sh mutants`) less will do.
    """
    if "MUTANT_UNDER_TEST" in os.environ:
        return min(full, MOST_FOR_A_MUTANT)
    if always or IS_FULL:
        return full
    return min(full, max(full // 6, LEAST))
