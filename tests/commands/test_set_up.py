"""What run.sh installs, with a uv that only writes down what it is asked to do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

PROJECT = Path(__file__).resolve().parents[2]
UV = """#!/bin/sh
echo "$*" >>"$UV_CALLS"
if [ "$1" = venv ]; then
    for venv; do :; done
    rm -rf "$venv" && mkdir -p "$venv/bin" && cp "$FAKE_PYTHON" "$venv/bin/python"
fi
"""
PYTHON = f"""#!/bin/sh
[ "$1" = -c ] || [ "$1" = --version ] || exit 0
exec {sys.executable} "$@"
"""


class Checkout:
    """A copy of run.sh with two locks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._calls = root / "calls"
        shutil.copy(PROJECT / "run.sh", root)
        (root / "bin").mkdir()
        for path, text in ((root / "bin" / "uv", UV), (root / "python", PYTHON)):
            path.write_text(text)
            path.chmod(0o755)
        self.lock("requirements.txt", "a==1\n")
        self.lock("requirements-dev.txt", "a==1\nb==1\n")

    def lock(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def installs(self, command: str) -> list[str]:
        """What uv is asked for while run.sh prepares for a command: `venv`, and the names of locks."""
        self._calls.write_text("")
        variables = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "UV_CALLS": str(self._calls),
            "FAKE_PYTHON": str(self.root / "python"),
            "CRONWAX_PYTHON": sys.executable,
        }
        subprocess.run([self.root / "run.sh", command], env=variables, check=True, capture_output=True)
        words = [line.split() for line in self._calls.read_text().splitlines()]
        return ["venv" if each[0] == "venv" else Path(each[-1]).name for each in words]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("command", ["demo", "report", "setup"])
def test_a_run_installs_only_what_it_needs_once(checkout, command):
    assert checkout.installs(command) == ["venv", "requirements.txt"]
    assert checkout.installs(command) == []


@pytest.mark.parametrize("command", ["types", "bench"])
def test_development_adds_its_packages_to_the_environment_of_a_run(checkout, command):
    checkout.installs("demo")
    assert checkout.installs(command) == ["requirements-dev.txt"]
    assert checkout.installs(command) == []


def test_an_environment_for_development_runs_too(checkout):
    assert checkout.installs("types") == ["venv", "requirements-dev.txt"]
    assert checkout.installs("demo") == []


@pytest.mark.parametrize("command", ["demo", "types"])
def test_with_other_locks_the_environment_is_made_again(checkout, command):
    checkout.installs(command)
    checkout.lock("requirements.txt", "a==2\n")
    checkout.lock("requirements-dev.txt", "a==2\nb==1\n")
    assert checkout.installs(command)[0] == "venv"


def test_a_checkout_that_was_moved_makes_its_environment_again(checkout, tmp_path):
    checkout.installs("demo")
    checkout.root = checkout.root.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    checkout._calls = checkout.root / "calls"
    assert checkout.installs("demo") == ["venv", "requirements.txt"]


def test_the_lock_for_development_holds_every_version_of_the_lock_for_a_run():
    def packages(name: str) -> set[str]:
        """Entries with their hashes."""
        return set(re.split(r"\n(?=\S)", (PROJECT / name).read_text().strip())) - {""}

    run = {each for each in packages("requirements.txt") if not each.startswith("#")}
    assert len(run) > 20
    assert all("--hash=sha256:" in each for each in run)
    assert run <= packages("requirements-dev.txt")
