"""A real Alertmanager: the machine's own, else the one of Debian's package, unpacked into a cache and not installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

NAMES = ("prometheus-alertmanager", "alertmanager")
PACKAGE = "prometheus-alertmanager"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cronwax" / "alertmanager"
START_SECONDS = 60.0
CONFIG = """
route:
  receiver: nobody
  group_by: [monitor]
receivers:
  - name: nobody
"""


_TEMPLATES = "usr/share/prometheus/alertmanager"
_WITH_TEMPLATES = (
    *("unshare", "--map-root-user", "--mount", "sh", "-ec"),
    f'mount -t tmpfs none /usr/share; mkdir -p "/{_TEMPLATES}"; cp -r "{CACHE}/{_TEMPLATES}/." "/{_TEMPLATES}"; '
    'exec "$@"',
    "sh",
)
"""Debian's program looks for its templates there, and nowhere else: it sees them, and no other process does."""


class NoAlertmanagerError(Exception):
    """There is none here; the text says what was tried."""


def binary() -> str:
    """Its program. Raises NoAlertmanagerError."""
    for name in (os.environ.get("CRONWAX_TEST_ALERTMANAGER", ""), *NAMES, str(CACHE / "usr/bin" / PACKAGE)):
        if name and (found := shutil.which(name)) is not None:
            return found
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NoAlertmanagerError(f"no {' or '.join(NAMES)} on the PATH, and no apt-get to fetch it")
    _fetch()
    return str(CACHE / "usr/bin" / PACKAGE)


def _fetch() -> None:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", PACKAGE]
        made = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)
        if made.returncode and os.geteuid() == 0:  # a machine that has no list of packages yet
            subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
            made = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("*.deb"))
        if made.returncode or not archives:
            raise NoAlertmanagerError(f"apt-get cannot fetch {PACKAGE}: {made.stderr.strip()[-300:]}")
        unpacked = Path(folder) / "unpacked"
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), str(unpacked)], check=True, capture_output=True)
        shutil.rmtree(CACHE, ignore_errors=True)
        unpacked.rename(CACHE)


class Alertmanager:
    """One of its own, with its data in a folder that is given."""

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it is ready. Raises NoAlertmanagerError."""
        program = binary()
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "alertmanager.log"
        arguments = [
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [*_WITH_TEMPLATES, program, *arguments]
                if program.startswith(str(CACHE))
                else [program, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise NoAlertmanagerError(f"it does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.05)

    def alerts(self, **filters: str) -> list[dict[str, Any]]:
        """The alerts that fire now, as its own API shows them."""
        answer = requests.get(f"{self.url}/api/v2/alerts", params=filters, timeout=10)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def until(self, count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The alerts, once there are so many; fails when there never are."""
        deadline = time.monotonic() + seconds
        while len(found := self.alerts()) != count:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=1).ok
        except requests.RequestException:
            return False
