"""Starts intake, flow and notifier, keeps them running, and stops them in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from cronwax.intake.project_file import add_project, dsn, projects_path, read_projects
from cronwax.intake.projects import ProjectsError
from cronwax.intake.settings import IntakeSettings
from cronwax.notify.settings import NotifySettings, routes_path
from cronwax.serve.parts import Part, PartFailed, Supervised, print_line
from dataflow.settings import PREFIX, Settings, SettingsError

CRONWAX = (sys.executable, "-P", "-m", "cronwax")
"""Each part is a command of its own."""
STORE = "recovery"
"""The recovery store, in the data folder."""
STORE_PARTS = 4
EPOCH_SECONDS = "0.5"
"""How often the flow stores where it is. What a restart repeats is no more than that."""
READY_SECONDS = 60.0
DEFAULTS = {"SOURCE": "intake", "PUBLISH_INTERVAL": "5"}
"""What differs from the flow's own defaults here: analysts see a miss within seconds."""


class ServeError(Exception):
    """`serve` cannot start, or cannot go on; the text says why in one line."""


def serve(host: str | None = None, port: int | None = None, root_path: str | None = None) -> None:
    """Run everything until SIGTERM or SIGINT, which drain it. Raises ServeError, SettingsError."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(f"{PREFIX}{name}", value)
    # The parts are of this very package, wherever it is.
    paths = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    settings = Settings.load()
    if settings.source not in ("intake", "kafka"):
        raise SettingsError("CRONWAX_SOURCE must be intake (the default of serve) or kafka")
    own = IntakeSettings.load(intake_host=host, intake_port=port, intake_root_path=root_path)
    notifies = _notifies(settings, NotifySettings.load())
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        hello = _prepare_project(settings, own)
        _prepare_store(settings.data_dir / STORE)
    except ProjectsError as error:
        raise ServeError(str(error)) from None
    except OSError as error:
        raise ServeError(f"{error.filename or settings.data_dir}: {error.strerror}") from None
    try:
        asyncio.run(_supervise(_parts(settings, own, notifies), f"{_address(own)}/healthz", hello))
    except PartFailed as error:
        raise ServeError(str(error)) from None


def _prepare_project(settings: Settings, own: IntakeSettings) -> list[str]:
    """Make project 1 where there is no project yet; returns what to print about the first one with a key."""
    path = projects_path(settings)
    projects = read_projects(path)
    if not projects and settings.projects_path is None:
        add_project(path, 1, "default")
        projects = read_projects(path)
    address = _address(own) + own.intake_root_path
    lines = [f"listening at {address}"]
    number = next((number for number in sorted(projects) if projects[number].keys), None)
    if number is None:
        return [*lines, f"no project has a key yet: ./run.sh project add (they are in {path})"]
    key = projects[number].keys[0]
    curl = f"curl '{address}/api/{number}/cron/nightly/{key}/?status=ok&schedule=0+3+*+*+*'"
    return [*lines, f"DSN of project {number}: {dsn(key, address, number)}", f"try: {curl}"]


def _prepare_store(folder: Path) -> None:
    if not list(folder.glob("part-*.sqlite3")):
        command = [*CRONWAX, "recovery", str(folder), str(STORE_PARTS)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ServeError(made.stderr.strip().removeprefix("cronwax: "))


def _notifies(settings: Settings, own: NotifySettings) -> bool:
    """Whether anybody is to be notified: a routes file is named, or is in the data folder."""
    return own.notify_path is not None or routes_path(settings, own).exists()


def _parts(settings: Settings, own: IntakeSettings, notifies: bool) -> list[Part]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment |= {
        f"{PREFIX}INTAKE_HOST": own.intake_host,
        f"{PREFIX}INTAKE_PORT": str(own.intake_port),
        f"{PREFIX}INTAKE_ROOT_PATH": own.intake_root_path,
    }
    store = str(settings.data_dir / STORE)
    # The notifier stops last: what the flow says at its end is still read.
    notifier = [Part("notify", [*CRONWAX, "notify"], environment, is_vital=False)] if notifies else []
    return [
        *notifier,
        Part("flow", [*CRONWAX, "run", "-r", store, "-s", EPOCH_SECONDS, "-b", "0"], environment),
        Part("intake", [*CRONWAX, "intake"], environment),
    ]


async def _supervise(parts: list[Part], health: str, hello: list[str]) -> None:
    """Run the parts; the one that was named last is stopped first, so that what it wrote is still read."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    supervised = [Supervised(part, print_line) for part in parts]
    running = [asyncio.create_task(each.run()) for each in supervised]
    greeting = asyncio.create_task(_greet(health, hello))
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
    greeting.cancel()
    if stop in done:
        print_line("serve", "stopping")
    for each in reversed(supervised):
        await each.stop()
    stop.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    print_line("serve", "stopped")


async def _greet(health: str, hello: list[str]) -> None:
    """Say where to send check-ins once they are taken."""
    for _ in range(int(READY_SECONDS * 10)):
        if await asyncio.to_thread(_answers, health):
            for line in hello:
                print_line("serve", line)
            return
        await asyncio.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _address(own: IntakeSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(own.intake_host, own.intake_host)  # noqa: S104
    return f"http://{host}:{own.intake_port}"
