"""Each scenario over a run of the real flow: the project's own, and the contract's where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.scenarios.run_scenarios import PROJECT, failures_of

OWN = Path(__file__).parent / "cases"
CONTRACT = Path(os.environ.get("CRONWAX_SCENARIOS") or PROJECT.parent / "shared" / "scenarios" / "cases")
"""The contract's scenarios; a clone that stands alone has none."""


def cases() -> Iterator[tuple[str, Path]]:
    if os.environ.get("CRONWAX_SCENARIOS") and not CONTRACT.is_dir():
        raise pytest.UsageError(f"CRONWAX_SCENARIOS: {CONTRACT} is no folder")
    for source, folder in (("own", OWN), ("contract", CONTRACT)):
        for path in sorted(folder.glob("*.json")):
            yield f"{source}-{path.stem}", path


CASES = dict(cases())


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[str]]]]:
    """A run of every case that was selected, as many at a time as there are cores."""
    selected = [getattr(item, "callspec", None) for item in request.session.items]
    names = [spec.params["case"] for spec in selected if spec and spec.params.get("case") in CASES]
    top = tmp_path_factory.mktemp("scenarios")
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield {name: pool.submit(failures_of, CASES[name], top / name) for name in names}


@pytest.mark.parametrize("case", CASES)
def test_the_flow_leaves_what_the_scenario_expects(case: str, runs: dict[str, Future[list[str]]]) -> None:
    failures = runs[case].result()
    assert not failures, "\n".join(failures)


def test_a_clone_has_scenarios_of_its_own() -> None:
    assert len(list(OWN.glob("*.json"))) >= 40
