"""What docs/clients.md and the dashboards ask, asked; with CRONWAX_TEST_CLIENTS the packages of others, too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import duckdb
import pytest

from tests.processes import PROJECT
from tests.state import grafana_models
from tests.state.test_answers_installed import published

DOCS = PROJECT / "docs"
PAGE = (DOCS / "clients.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
PACKAGES = (
    *(
        "duckdb",
        "pytz",
        "pyarrow",
        "pandas",
        "polars",
        "ibis-framework[duckdb]",
        "sqlalchemy",
        "duckdb-engine",
    ),
    "dbt-duckdb",
    "grafana-foundation-sdk",
)
needs_packages = pytest.mark.skipif(
    "CRONWAX_TEST_CLIENTS" not in os.environ, reason="CRONWAX_TEST_CLIENTS asks for packages of others"
)
"""Where they are is what the variable says; `1`: they are installed into a throwaway environment."""


def sections() -> dict[str, list[str]]:
    """The blocks of Python of each client."""
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0]: BLOCK.findall(part) for part in parts if BLOCK.findall(part)}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(published(tmp_path_factory.mktemp("published")))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the packages."""
    given = Path(os.environ["CRONWAX_TEST_CLIENTS"])
    if given.exists():
        return given
    folder = tmp_path_factory.mktemp("clients")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        *PACKAGES,
    ]
    subprocess.run(command, check=True)
    return python


def ran(python: Path | str, program: str, file: Path) -> str:
    asked = subprocess.run(
        [python, "-c", program.replace("FILE", str(file))],
        capture_output=True,
        text=True,
        check=False,
        cwd=file.parent,
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


@pytest.mark.process
@pytest.mark.parametrize("block", range(2))
def test_what_the_page_says_of_duckdb_itself_runs(file: Path, block: int) -> None:
    assert ran(sys.executable, sections()["Python: duckdb (tested)"][block], file).strip()


@pytest.mark.process
@needs_packages
@pytest.mark.parametrize("client", [name for name in sections() if "duckdb (tested)" not in name])
def test_what_the_page_says_of_other_clients_runs(file: Path, others: Path, client: str) -> None:
    for block in sections()[client]:
        assert ran(others, block, file).strip()


@pytest.mark.process
@needs_packages
def test_dbt_reads_the_file_as_the_page_says(file: Path, others: Path, tmp_path: Path) -> None:
    (profile,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "profiles.yml").write_text(profile.replace("FILE", str(file)))
    (tmp_path / "dbt_project.yml").write_text(
        'name: cron\nversion: "1.0"\nprofile: cron\nmodel-paths: ["models"]\n'
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sla.sql").write_text(
        "{{ config(materialized='table') }}\nSELECT owner, sum(ok_seconds) AS ok FROM cron.main.uptime_daily GROUP BY 1"
    )
    command: list[str | Path] = [others.with_name("dbt"), "run", "--profiles-dir", ".", "--project-dir", "."]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM sla").fetchall() == [(1,)]


def test_a_second_connection_shows_the_old_snapshot_and_attaching_afresh_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "monitors.duckdb"

    def publish(value: int) -> None:
        with duckdb.connect(tmp_path / "next") as connection:
            connection.execute(f"CREATE OR REPLACE TABLE snapshot AS SELECT {value} AS number")
        (tmp_path / "next").replace(path)

    def number(connection: duckdb.DuckDBPyConnection) -> int:
        ((found,),) = connection.execute("SELECT number FROM snapshot").fetchall()
        return int(found)

    publish(1)
    with duckdb.connect(path, read_only=True):
        publish(2)
        with duckdb.connect(path, read_only=True) as second:
            assert number(second) == 1
    with duckdb.connect() as connection:
        for value in (3, 4):
            publish(value)
            connection.execute(f"ATTACH '{path}' AS cron (READ_ONLY)")
            connection.execute("USE cron")
            assert number(connection) == value
            connection.execute("USE memory")
            connection.execute("DETACH cron")


def panels(name: str) -> list[dict[str, str]]:
    board = json.loads((DOCS / "grafana" / name).read_text(encoding="utf-8"))
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= board.keys()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(
        {"title", "type", "gridPos", "datasource", "fieldConfig"} <= panel.keys() for panel in board["panels"]
    )
    return [target for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.process
@needs_packages
def test_dashboards_hold_nothing_that_grafanas_own_models_do_not_know(others: Path, tmp_path: Path) -> None:
    """The models are generated from Grafana's schema of dashboards."""

    def check(*files: Path) -> tuple[int, str]:
        command: list[str | Path] = [others, grafana_models.__file__, *files]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not asked.stderr
        return asked.returncode, asked.stdout.strip()

    assert check(*(DOCS / "grafana").glob("*.json")) == (0, "")
    board = json.loads((DOCS / "grafana" / "tables.json").read_text(encoding="utf-8"))
    board["panels"][0]["titel"] = "a slip"
    (tmp_path / "wrong.json").write_text(json.dumps(board))
    assert check(tmp_path / "wrong.json") == (1, "wrong.json: /panels/0/titel")


def test_the_dashboard_of_the_tables_asks_what_is_there(file: Path) -> None:
    with duckdb.connect(file, read_only=True) as connection:
        for target in panels("tables.json"):
            connection.execute(target["rawSql"]).fetchall()


def test_the_dashboard_of_the_metrics_names_what_the_flow_exports() -> None:
    exported = set(
        re.findall(r"^\| `(cronwax_\w+)`", (DOCS / "reference" / "metrics.md").read_text(), re.MULTILINE)
    )
    named = {
        re.sub("_bucket$", "", name)
        for target in panels("metrics.json")
        for name in re.findall(r"cronwax_\w+", target["expr"])
    }
    assert named
    assert named <= exported
