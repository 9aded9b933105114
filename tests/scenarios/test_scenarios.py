"""Each scenario over a run of the real flow: the project's own, and the contract's where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.run_scenarios import PROJECT, failures_of
from tests.warm import run_flow_warm

OWN = Path(__file__).parent / "cases"
CONTRACT = Path(os.environ.get("CRONWAX_SCENARIOS") or PROJECT.parent / "shared" / "scenarios" / "cases")
"""The contract's scenarios; a clone that stands alone has none."""

SUPERSEDED = frozenset({"contract-invalid_guid_and_validation"})
"""Cases that expect what the contract's text (SPEC, section 3) no longer says: there a negative duration counts as not
given, and one of 2147483648 ms is taken. The project's own case `durations` follows the text."""


def cases() -> Iterator[tuple[str, Path]]:
    if os.environ.get("CRONWAX_SCENARIOS") and not CONTRACT.is_dir():
        raise pytest.UsageError(f"CRONWAX_SCENARIOS: {CONTRACT} is no folder")
    for source, folder in (("own", OWN), ("contract", CONTRACT)):
        for path in sorted(folder.glob("*.json")):
            if (name := f"{source}-{path.stem}") not in SUPERSEDED:
                yield name, path


CASES = dict(cases())


@pytest.mark.parametrize("case", CASES)
def test_the_flow_leaves_what_the_scenario_expects(case: str, tmp_path: Path) -> None:
    found = failures_of(CASES[case], tmp_path, run_flow_warm)
    assert not found, "\n".join(found)


def test_a_clone_has_scenarios_of_its_own() -> None:
    assert len(list(OWN.glob("*.json"))) >= 40
