"""The package as it would be installed: built, put into an empty environment, run in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from dataflow.operations.version import own_version
from tests.builders import HOURLY, check_in
from tests.processes import PROJECT, free_ports, settings, write_jsonl

pytestmark = pytest.mark.process


class Installed:
    """An environment that holds the wheel, and sees what the wheel depends on."""

    def __init__(self, folder, wheel):
        venv.create(folder, with_pip=False, symlinks=True)
        self.bin = folder / "bin"
        python = str(self.bin / "python")
        pip = [sys.executable, "-m", "pip", "-q", "--python", python, "--disable-pip-version-check"]
        if importlib.util.find_spec("pip") is None:  # uv made this environment
            pip = ["uv", "pip", "--quiet", "--python", python]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "lib" / version / "site-packages"
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, folder, *command, **variables):
        """Run one of its programs, by name."""
        program, *arguments = command
        return subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=folder,
            env={**settings(), **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("environment"), wheel)


def test_the_wheel_holds_three_packages_and_all_their_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {name.split("/")[0] for name in inside} == {
        "cronwax",
        "dataflow",
        "state",
        f"cronwax-{own_version()}.dist-info",
    }
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "cronwax", "dataflow", "state"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not {name for name in listed.stdout.split() if os.path.exists(PROJECT / name)} - inside
    assert {"cronwax/py.typed", "dataflow/py.typed", "state/py.typed"} <= inside


def test_the_demo_runs_and_is_asked_in_an_empty_folder(installed, tmp_path):
    demo = installed.run(tmp_path, "cronwax", "demo")
    assert demo.returncode == 0, demo.stderr
    assert "next: cronwax status" in demo.stdout
    assert (tmp_path / "data" / "monitors.duckdb").is_file()
    status = installed.run(tmp_path, "cronwax", "status", "--json")
    assert (status.returncode, status.stderr) == (0, "")
    assert json.loads(status.stdout.splitlines()[0])["status"] == "error"
    page = installed.run(tmp_path, "cronwax", "report", "--out", "page.html")
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_the_engines_own_command_runs_it(installed, tmp_path):
    write_jsonl(tmp_path / "input.jsonl", [check_in(0, "nightly", number=1, config=HOURLY)])
    ended = installed.run(
        tmp_path,
        *("python", "-m", "bytewax.run", "dataflow:flow"),
        CRONWAX_SOURCE="file",
        CRONWAX_CHECKINS_PATH="input.jsonl",
    )
    assert ended.returncode == 0, ended.stderr
    assert "check-ins: 1 ok" in ended.stdout


def test_kafka_mode_starts_and_says_that_there_is_no_broker(installed, tmp_path):
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    variables = {"CRONWAX_SOURCE": "kafka", "CRONWAX_KAFKA_BOOTSTRAP_SERVERS": nobody}
    ended = installed.run(tmp_path, "cronwax", "run", **variables)
    assert ended.returncode == 1, ended.stderr
    assert f"version={own_version()}" in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("cronwax: ")]
    assert nobody in line
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [["cronwax"], ["python", "-m", "cronwax"]])
def test_the_version_is_the_packages(installed, tmp_path, command):
    ended = installed.run(tmp_path, *command, "version")
    assert ended.stdout == f"cronwax {own_version()}\n"
