"""Real clients against a running `serve`: their runs are in the tables.

Those that need node, go or an older SDK are installed from their registries into the user's cache, once for all
checkouts. Where that cannot be done they are skipped with the reason; in CI (CI=true) that is a failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.intake.running import CHECK, KEY, PING_KEY, Machine

pytestmark = pytest.mark.process

CLIENTS = Path(__file__).parent / "clients"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cronwax" / "test-clients"
_SOURCES = hashlib.sha256(
    b"".join((CLIENTS / name).read_bytes() for name in ("main.go", "main.rs"))
).hexdigest()[:8]
"""What is built is of these."""
OLDEST_PYTHON, NEWEST_PYTHON = "1.17.0", "2.75.0"
NODE, CLI, GO = "11.12.0", "3.8.0", "v0.50.0"
HEALTHCHECKS_PYTHON, HEALTHCHECKS_RUST = "0.5.0", "3.3.0"
INSTALL_SECONDS = 600
IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("clients"))
    made.serve()
    # These send no config.
    for slug in ("by-python-1-17-0", "by-healthchecks", "decorated-well", "decorated-badly", "checked"):
        made.cron(slug, "status=ok&schedule=1+day")
    yield made
    made.close()


def missing(reason: str) -> None:
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def installed(name: str, tool: str, install: Callable[[Path], None]) -> Path:
    """The folder of a client; installed if it is not there yet."""
    if shutil.which(tool) is None:
        missing(f"{name} needs {tool}, which is not here")
    folder = CACHE / f"{name}-{_SOURCES}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # against the tests of another checkout
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                install(folder)
            except (subprocess.SubprocessError, OSError) as error:
                said = getattr(error, "stderr", None) or b""
                missing(f"{name} cannot be installed: {error} {said[-300:].decode(errors='replace')}")
            (folder / "done").touch()
    return folder


def call(*command: str | Path, folder: Path | None = None, **variables: str) -> None:
    subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        check=True,
        timeout=INSTALL_SECONDS,
    )


def python_with(name: str, *packages: str) -> Path:
    def install(folder: Path) -> None:
        call(sys.executable, "-m", "venv", folder / "venv")
        python = folder / "venv/bin/python"
        call(python, "-m", "pip", "-q", "--disable-pip-version-check", "install", *packages)

    return installed(name, sys.executable, install) / "venv/bin/python"


def npm_package(name: str, *packages: str) -> Path:
    def install(folder: Path) -> None:
        call("npm", "init", "-y", folder=folder)
        call("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages, folder=folder)

    return installed(name, "npm", install)


def go_client() -> Path:
    def install(folder: Path) -> None:
        shutil.copy(CLIENTS / "main.go", folder)
        call("go", "mod", "init", "client", folder=folder)
        call("go", "get", f"github.com/getsentry/sentry-go@{GO}", folder=folder)
        call("go", "build", "-o", "client", ".", folder=folder)

    return installed(f"sentry-go-{GO}", "go", install) / "client"


def rust_client() -> Path:
    def install(folder: Path) -> None:
        call("cargo", "init", "--quiet", "--vcs", "none", "--name", "client", folder=folder)
        shutil.copy(CLIENTS / "main.rs", folder / "src")
        call("cargo", "add", "--quiet", f"healthchecks@={HEALTHCHECKS_RUST}", folder=folder)
        call("cargo", "build", "--quiet", folder=folder, CARGO_PROFILE_DEV_DEBUG="0")

    return installed(f"healthchecks-rs-{HEALTHCHECKS_RUST}", "cargo", install) / "target/debug/client"


def dsn(machine: Machine) -> str:
    return f"http://{KEY}@127.0.0.1:{machine.port}/42"


def assert_ran(machine: Machine, slug: str, environment: str = "live", status: str = "ok") -> None:
    """A run of the job has come to the tables, finished."""
    where = f"slug = '{slug}' AND environment = '{environment}' AND status = '{status}'"
    machine.wait_for_rows(f"FROM check_ins WHERE {where}", 1)


@pytest.mark.parametrize("version", [OLDEST_PYTHON, NEWEST_PYTHON])
def test_sentry_sdk(machine, version):
    python = python_with(f"sentry-python-{version}", f"sentry-sdk=={version}", "setuptools")
    slug = f"by-python-{version.replace('.', '-')}"
    if (
        version == OLDEST_PYTHON
    ):  # it has no configs: the monitor is there, and its environment is another one
        assert machine.cron(slug, "status=ok&environment=live&schedule=1+day") == 202
    call(python, CLIENTS / "python_client.py", CRONWAX_DSN=dsn(machine), CRONWAX_JOB=slug)
    assert_ran(machine, slug)
    wanted = 2 if version == OLDEST_PYTHON else 1
    machine.wait_for_rows(f"FROM check_ins WHERE slug = '{slug}' AND environment = 'live'", wanted)


def test_node(machine):
    folder = npm_package(f"sentry-node-{NODE}", f"@sentry/node@{NODE}")
    call("node", CLIENTS / "node_client.js", folder=folder, CRONWAX_DSN=dsn(machine))
    assert_ran(machine, "by-node")


def test_sentry_cli(machine):
    folder = npm_package(f"sentry-cli-{CLI}", f"@sentry/cli-linux-x64@{CLI}")
    cli = folder / "node_modules/@sentry/cli-linux-x64/bin/sentry-cli"
    options = ("--schedule", "0 3 * * *", "-e", "live")
    call(cli, "monitors", "run", "by-cli", *options, "--", "true", SENTRY_DSN=dsn(machine))
    assert_ran(machine, "by-cli")


def test_go(machine):
    call(go_client(), CRONWAX_DSN=dsn(machine))
    assert_ran(machine, "by-go")


@pytest.mark.parametrize("tool", ["curl", "wget"])
def test_the_cron_address_by_hand(machine, tool):
    if shutil.which(tool) is None:
        missing(f"{tool} is not here")
    address = f"http://127.0.0.1:{machine.port}/api/42/cron/by-{tool}/{KEY}"
    query = "schedule=0+3+*+*+*&environment=live"
    quiet = ("-fsS",) if tool == "curl" else ("-q", "-O", "-")
    call(tool, *quiet, f"{address}/?status=in_progress&{query}")
    call(tool, *quiet, f"{address}?status=ok&{query}")
    assert_ran(machine, f"by-{tool}")


def test_healthchecks_pings(machine):
    address = f"http://127.0.0.1:{machine.port}/ping/{PING_KEY}/by-healthchecks"
    call("curl", "-fsS", "-m", "10", "--retry", "5", f"{address}/start")
    call("curl", "-fsS", "-m", "10", "--retry", "5", "--data-raw", "all went well", f"{address}/3")
    assert_ran(machine, "by-healthchecks", "production", "error")


def test_healthchecks_decorator(machine):
    package = f"healthchecks-decorator=={HEALTHCHECKS_PYTHON}"
    python = python_with(package.replace("==", "-"), package)
    address = f"http://127.0.0.1:{machine.port}/ping/{PING_KEY}"
    call(python, CLIENTS / "python_pings.py", CRONWAX_PING=address)
    machine.wait_for_rows(
        "FROM check_ins WHERE slug = 'decorated-well' AND status = 'ok'", 2
    )  # one is the fixture's
    assert_ran(machine, "decorated-badly", "production", "error")


def test_healthchecks_in_rust(machine):
    call(rust_client(), CRONWAX_PING=f"http://127.0.0.1:{machine.port}/ping", CRONWAX_CHECK=CHECK)
    assert_ran(machine, "checked", "production", "error")
