"""Changing the projects file: adding, listing, rotating and revoking keys, so that a crash leaves a whole file."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from cronwax.intake.projects import ProjectsError
from dataflow.connectors.intake_log import sync_folder
from dataflow.projects import Project, parse_projects
from dataflow.settings import Settings

T = TypeVar("T")
DEFAULT_NAME = "projects.json"
"""The file in the data folder, where CRONWAX_PROJECTS_PATH names no other."""


def projects_path(settings: Settings) -> Path:
    """The projects file: the one that is set, else the one in the data folder."""
    return settings.projects_path or settings.data_dir / DEFAULT_NAME


def new_key() -> str:
    """A public key."""
    return secrets.token_hex(16)


def new_ping_key() -> str:
    """A ping key: 22 characters."""
    return secrets.token_urlsafe(16)


def dsn(key: str, address: str, project_id: int) -> str:
    """What Sentry's SDKs are given. `address` is `http://host:port`, with a path if a proxy adds one."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{key}@{rest.rstrip('/')}/{project_id}"


def read_projects(path: Path) -> dict[int, Project]:
    """The projects of a file; none if it is not there. Raises ProjectsError."""
    try:
        return parse_projects(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProjectsError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ProjectsError(f"{path}: {error}") from None


def add_project(path: Path, project_id: int, name: str = "", organization: int = 1) -> Project:
    """Add a project with a key and a ping key of its own. Raises ProjectsError, also if it has keys already."""

    def add(projects: dict[int, Project]) -> Project:
        if (known := projects.get(project_id)) is not None and known.keys:
            raise ProjectsError(f"project {project_id} has a key already; rotate gives it another one")
        before = known or Project(organization)
        project = msgspec.structs.replace(
            before, name=name or before.name, keys=[new_key()], ping_keys=[*before.ping_keys, new_ping_key()]
        )
        projects[project_id] = project
        return project

    return change(path, add)


def rotate(path: Path, project_id: int) -> Project:
    """Give a project a new key beside those that it has, which hold until they are revoked. Raises ProjectsError."""

    def add_key(projects: dict[int, Project]) -> Project:
        project = _known(projects, project_id)
        projects[project_id] = changed = msgspec.structs.replace(project, keys=[new_key(), *project.keys])
        return changed

    return change(path, add_key)


def revoke(path: Path, project_id: int, key: str) -> Project:
    """Take a key or a ping key from a project. Raises ProjectsError."""

    def take(projects: dict[int, Project]) -> Project:
        project = _known(projects, project_id)
        if key not in (*project.keys, *project.ping_keys):
            raise ProjectsError(f"project {project_id} has no such key")
        projects[project_id] = changed = msgspec.structs.replace(
            project,
            keys=[each for each in project.keys if each != key],
            ping_keys=[each for each in project.ping_keys if each != key],
        )
        return changed

    return change(path, take)


def change(path: Path, edit: Callable[[dict[int, Project]], T]) -> T:
    """Edit the file: one after another, and whole. A new one is for its owner only (0600). Raises ProjectsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            projects = read_projects(path)
            result = edit(projects)
            entries = {str(number): project for number, project in sorted(projects.items())}
            text = msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"
            parse_projects(text)
            _replace(path, text)
            return result
    except OSError as error:
        raise ProjectsError(f"{error.filename or path}: {error.strerror}") from None
    except ValueError as error:
        raise ProjectsError(f"{path}: {error}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: bytes) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(descriptor, mode)
        os.write(descriptor, text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    sync_folder(path.parent)


def _known(projects: dict[int, Project], project_id: int) -> Project:
    if project_id not in projects:
        raise ProjectsError(f"there is no project {project_id}")
    return projects[project_id]
