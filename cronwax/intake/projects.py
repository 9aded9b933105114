"""Which keys open which project: looked up in constant time, so that the time does not show how near a guess came."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from dataflow.process.log import log, warn
from dataflow.projects import Project, parse_projects

CHECK_SECONDS = 2.0
"""The pause between two looks at the file, at least."""


class ProjectsError(Exception):
    """The projects file cannot be used; the text says why, in one line."""


class Projects:
    """The keys of all projects.

    Keys are looked up by a keyed hash, made afresh by each process: how long a look-up takes says nothing about the
    keys that are known. The hashes that match are compared in constant time.
    """

    def __init__(self, projects: Mapping[int, Project]) -> None:
        self._salt = secrets.token_bytes(32)
        self._keys: dict[bytes, set[int]] = {}
        self._ping_keys: dict[bytes, int] = {}
        self._checks: dict[bytes, tuple[int, str]] = {}
        for number, project in projects.items():
            for key in project.keys:
                self._keys.setdefault(self._digest(key), set()).add(number)
            for key in project.ping_keys:
                self._ping_keys[self._digest(key)] = number
            for check, slug in project.checks.items():
                self._checks[self._digest(check)] = number, slug

    def opens(self, key: str, project_id: int) -> bool:
        """Whether a public key is one of this project's."""
        return project_id in self._keys.get(self._digest(key), ())

    def of_ping_key(self, key: str) -> int | None:
        """The project that a ping key opens."""
        return self._ping_keys.get(self._digest(key))

    def of_check(self, check: str) -> tuple[int, str] | None:
        """Project and slug of a check's UUID."""
        return self._checks.get(self._digest(check))

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._salt, text.encode("utf-8", "surrogatepass"), "sha256")


class ProjectsFile:
    """The projects file as it is now: read again when it changes, and a faulty version refused."""

    def __init__(self, path: Path) -> None:
        """Raises ProjectsError when it cannot be read to begin with."""
        self._path = path
        self._looked = time.monotonic()
        self._stamp = self._stamp_now()
        self._projects = self._read()

    def current(self) -> Projects:
        """What holds now."""
        now = time.monotonic()
        if now - self._looked >= CHECK_SECONDS:
            self._looked = now
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again()
        return self._projects

    def _read_again(self) -> None:
        try:
            self._projects = self._read()
        except ProjectsError as error:
            warn("projects_refused", text=f"{error}; the version before stays in force")
        else:
            log("projects_read", path=self._path)

    def _read(self) -> Projects:
        try:
            return Projects(parse_projects(self._path.read_bytes()))
        except OSError as error:
            raise ProjectsError(f"CRONWAX_PROJECTS_PATH: {self._path}: {error.strerror}") from None
        except ValueError as error:
            raise ProjectsError(f"CRONWAX_PROJECTS_PATH: {self._path}: {error}") from None

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
