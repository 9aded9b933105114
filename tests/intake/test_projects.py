"""The projects file: what it opens, how it changes, and what happens when it is faulty."""

from __future__ import annotations

import json

import pytest

from cronwax.intake import projects as module
from cronwax.intake.project_file import add_project, dsn, read_projects, revoke, rotate
from cronwax.intake.projects import Projects, ProjectsError, ProjectsFile
from dataflow.projects import Project, parse_projects
from dataflow.settings import Settings

KEY, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    return tmp_path / "projects.json"


def test_a_key_opens_its_own_project_only():
    projects = Projects({1: Project(keys=[KEY]), 2: Project(keys=[OTHER])})
    assert projects.opens(KEY, 1)
    assert not projects.opens(KEY, 2)
    assert not projects.opens("c" * 32, 1)
    assert not projects.opens(KEY, 3)


def test_ping_keys_and_checks_name_their_projects():
    check = "5f1f0e3c-0b4d-4a8e-9a55-0c0ffee00001"
    projects = Projects({7: Project(ping_keys=["k" * 22], checks={check: "nightly"})})
    assert projects.of_ping_key("k" * 22) == 7
    assert projects.of_ping_key("l" * 22) is None
    assert projects.of_check(check) == (7, "nightly")
    assert projects.of_check(check.replace("5", "6")) is None


def test_both_forms_of_the_file_are_read(tmp_path, monkeypatch):
    path = tmp_path / "projects.json"
    path.write_text(json.dumps({"1": 5, "2": {"organization": 6, "keys": [KEY]}, "3": {}}))
    monkeypatch.setenv("CRONWAX_PROJECTS_PATH", str(path))
    assert Settings.load().projects() == {1: 5, 2: 6, 3: 1}
    assert ProjectsFile(path).current().opens(KEY, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"x": 1}',
        '{"1": {"keys": ["short"]}}',
        '{"1": {"keyz": []}}',
        '{"1": {"ping_keys": ["kkkkkkkk"]}, "2": {"ping_keys": ["kkkkkkkk"]}}',
    ],
)
def test_a_faulty_file_is_refused_at_the_start_and_later(path, text, caplog):
    with pytest.raises(ValueError, match=r"\S"):
        parse_projects(text.encode())
    path.write_text(json.dumps({"1": {"keys": [KEY]}}))
    file = ProjectsFile(path)
    path.write_text(text)
    assert file.current().opens(KEY, 1)
    assert "stays in force" in caplog.text
    assert KEY not in caplog.text
    with pytest.raises(ProjectsError, match="CRONWAX_PROJECTS_PATH"):
        ProjectsFile(path)


def test_a_new_version_is_read_when_the_file_changes(path):
    path.write_text(json.dumps({"1": {"keys": [KEY]}}))
    file = ProjectsFile(path)
    path.write_text(json.dumps({"1": {"keys": [OTHER]}}))
    assert file.current().opens(OTHER, 1)
    assert not file.current().opens(KEY, 1)


def test_a_project_is_added_rotated_and_revoked(path):
    first = add_project(path, 3, "billing")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_projects(path)[3] == first
    assert len(first.ping_keys[0]) == 22
    with pytest.raises(ProjectsError, match="has a key already"):
        add_project(path, 3)
    second = rotate(path, 3)
    assert second.keys[1:] == first.keys
    assert revoke(path, 3, first.keys[0]).keys == second.keys[:1]
    with pytest.raises(ProjectsError, match="no such key"):
        revoke(path, 3, first.keys[0])
    with pytest.raises(ProjectsError, match="no project 4"):
        rotate(path, 4)


def test_the_old_form_of_a_project_keeps_its_organization(path):
    path.write_text(json.dumps({"3": 9}))
    assert add_project(path, 3).organization == 9


def test_a_dsn_names_key_address_and_project():
    assert dsn(KEY, "https://cron.example/prefix/", 3) == f"https://{KEY}@cron.example/prefix/3"
