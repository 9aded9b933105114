"""Links that acknowledge: who has the key makes them, and each is good for one incident."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronwax.acknowledge_links import KEY_FILE, Subject, is_made_by, link_key, link_of
from cronwax.intake import acknowledge
from cronwax.intake.acknowledge import Acknowledging, path_of_link
from cronwax.intake.commit import NotTaken
from cronwax.notify.formats import html, markdown, plain
from cronwax.notify.notification import Notification
from dataflow.connectors.intake_log import CONTROLS, FOLDER

SUBJECT = Subject(42, "nightly", "production", "0123456789abcdef0123456789abcdef")
KEY = b"k" * 64


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path):
    key = link_key(tmp_path)
    assert len(key) == 64
    assert link_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_file_that_holds_no_key_is_named(tmp_path):
    (tmp_path / KEY_FILE).write_text("x")
    with pytest.raises(ValueError, match=r"acknowledge\.key: holds no key"):
        link_key(tmp_path)


@given(st.integers(0, 2**40), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_link_names_its_incident_whatever_the_names_are(project_id, slug, environment):
    try:
        (slug + environment).encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair is in no monitor's name
    subject = Subject(project_id, slug, environment, SUBJECT.incident_id)
    link = link_of("https://cronwax.example.com/x/", KEY, subject)
    assert link.startswith("https://cronwax.example.com/x/acknowledge/")
    word, *parts, code = path_of_link(urlsplit(link).path.removeprefix("/x"))
    assert (word, parts) == ("acknowledge", list(map(str, subject)))
    assert is_made_by(KEY, subject, code)


def test_a_code_is_good_for_nothing_else():
    code = link_of("http://x", KEY, SUBJECT).rpartition("/")[2]
    assert is_made_by(KEY, SUBJECT, code)
    assert not is_made_by(b"j" * 64, SUBJECT, code)
    assert not is_made_by(KEY, SUBJECT, "")
    assert not is_made_by(KEY, SUBJECT, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 32)
    for other in (
        SUBJECT._replace(project_id=43),
        SUBJECT._replace(slug="other"),
        SUBJECT._replace(environment="dev"),
        SUBJECT._replace(incident_id="f" * 32),
    ):
        assert not is_made_by(KEY, other, code)


class Intake:
    """What the intake does with links of a data folder, without HTTP."""

    def __init__(self, folder):
        self.controls = folder / FOLDER / CONTROLS
        self.controls.mkdir(parents=True)
        self.acknowledging = Acknowledging(folder, lambda _: KEY)
        self.frees = threading.Event()
        """What a thread that hangs waits for."""

    def ask(self, method, subject=SUBJECT, code=None, **fields):
        link = link_of("http://x", KEY, subject)
        if code is not None:
            link = link.rpartition("/")[0] + "/" + code
        parts = path_of_link(urlsplit(link).path)
        return asyncio.run(self._take(method, parts, urlencode(fields).encode()))

    async def _take(self, method, parts, body):
        try:
            return await self.acknowledging.take(method, parts, body)
        finally:
            self.frees.set()

    def written(self):
        files = sorted(self.controls.glob("*.jsonl"))
        return [json.loads(line)["control"] for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture
def intake(tmp_path):
    return Intake(tmp_path)


def test_opening_a_link_changes_nothing(intake):
    """Chats and mail scanners open links, too."""
    status, page = intake.ask("GET")
    assert status == 200
    assert b"nightly (production)" in page
    assert b'<form method="post">' in page
    assert intake.ask("HEAD").status == 200
    assert intake.written() == []


def test_the_button_acknowledges(intake):
    status, page = intake.ask("POST", who=" ann ", note="on it")
    assert (status, b"Acknowledged" in page) == (200, True)
    assert intake.written() == [
        {
            "type": "acknowledge_incident",
            "project_id": 42,
            "monitor_slug": "nightly",
            "environment": "production",
            "incident_id": SUBJECT.incident_id,
            "who": "ann",
            "note": "on it",
        }
    ]


@pytest.mark.parametrize(
    "fields", [{}, {"who": "  "}, {"who": "a" * 129}, {"who": "ann", "note": "n" * 1001}, {"note": "who?"}]
)
def test_who_it_was_has_to_be_said(intake, fields):
    status, page = intake.ask("POST", **fields)
    assert (status, b'<form method="post">' in page) == (400, True)
    assert intake.written() == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("code", ["", "0" * 32, "x"])
def test_a_link_that_nobody_here_made_is_not_valid(intake, method, code):
    status, page = intake.ask(method, code=code, who="eve")
    assert (status, b"nightly" in page) == (404, False)
    assert intake.written() == []


@pytest.mark.parametrize("path", ["/acknowledge", "/acknowledge/x/a/b/c/d", "/acknowledge/1/2/3/4/5/6"])
def test_a_path_that_is_no_link_is_not_valid(intake, path):
    assert asyncio.run(intake.acknowledging.take("GET", path_of_link(path), b"")).status == 404


def test_names_are_no_markup_in_the_page(intake):
    _, page = intake.ask("GET", SUBJECT._replace(slug="<script>alert(1)</script>"))
    assert b"<script>" not in page
    assert b"&lt;script&gt;" in page


def test_other_methods_are_refused(intake):
    assert intake.ask("PUT", who="ann").status == 405


def test_a_log_that_cannot_be_written_is_said_to_whoever_asks(intake):
    intake.controls.rmdir()
    with pytest.raises(NotTaken):
        intake.ask("POST", who="ann")


def test_a_disk_that_does_not_answer_is_said_in_time(intake, monkeypatch):
    ends = threading.Event()
    monkeypatch.setattr(acknowledge, "_DISK_SECONDS", 0.05)
    monkeypatch.setattr(acknowledge, "append_controls", lambda *_: ends.wait(30))
    intake.frees = ends
    with pytest.raises(NotTaken, match="the disk does not answer"):
        intake.ask("POST", who="ann")


def test_every_form_of_a_notification_has_the_link():
    notification = Notification(
        key="k",
        target="ops",
        route="r",
        does="opens",
        kind="failure",
        thread="t",
        lanes=["l"],
        created_ms=0,
        title="nightly failed",
        sentences=["It did not come."],
        acknowledge="http://x/acknowledge/1/a/b/c/d",
    )
    assert plain(notification).endswith("Acknowledge: http://x/acknowledge/1/a/b/c/d")
    assert markdown(notification).endswith("[Acknowledge](<http://x/acknowledge/1/a/b/c/d>)")
    assert html(notification).endswith('<a href="http://x/acknowledge/1/a/b/c/d">Acknowledge</a></p>')
