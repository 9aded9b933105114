"""How many examples a property test draws."""

from __future__ import annotations

import os

MOST_FOR_A_MUTANT = 12
"""Thousands of mutants are tested, each by many tests, and one failing example is enough."""
LEAST = 5


def examples(full: int, *, always: bool = False) -> int:
    """What `max_examples` shall be: with CRONWAX_TEST_FULL=1 as given, otherwise a third of it.

    Each run draws others, so that what a third does not find in one it may find in the next. `always` is for a test
    that is derandomized, whose examples are the same in each run. Over mutants (`./run.sh mutants`) less will do.
    """
    if "MUTANT_UNDER_TEST" in os.environ:
        return min(full, MOST_FOR_A_MUTANT)
    if always or os.environ.get("CRONWAX_TEST_FULL") == "1":
        return full
    return min(full, max(full // 3, LEAST))
