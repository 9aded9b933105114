"""The routes file: what is right, what is wrong and on which line, and what happens when it changes."""

from __future__ import annotations

import logging
import os

import pytest

from cronwax.notify.routes_file import CHECK_SECONDS, RoutesError, RoutesFile, read_routes
from cronwax.notify.secret_values import Redactor, SecretError, resolve
from cronwax.notify.toml_lines import TomlError, line_of, parse
from tests.processes import PROJECT

GOOD = """\
storm_size = 5
remind_after = "4h"
link = "https://ops.example/{project}/{slug}"

[targets.chat]
type = "webhook"
url = "https://chat.example/hook"

[[routes]]
name = "billing"
project = 42
slug = ["billing-*", "invoices"]
owner = "team:billing"
kinds = ["failure", "recovery"]
targets = ["chat"]
continue = true
remind_after = "30m"

[default]
targets = ["chat"]
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notify.toml"


def test_what_a_file_says(path):
    path.write_text(GOOD)
    tables, warnings = read_routes(path)
    policy = tables.policy()
    assert warnings == []
    assert (policy.storm_size, policy.remind_after_ms) == (5, 4 * 3_600_000)
    [route, default] = policy.routes.all()
    assert (route.projects, route.slugs, route.owners) == (
        frozenset({42}),
        ("billing-*", "invoices"),
        ("team:billing",),
    )
    assert (route.goes_on, route.remind_after_ms, route.kinds) == (
        True,
        1_800_000,
        frozenset(["failure", "recovery"]),
    )
    assert (default.name, default.targets) == ("default", ("chat",))
    assert policy.routes.ask_owner


def test_three_lines_are_enough(path):
    path.write_text('targets.ops = "json://127.0.0.1/hook"\n[[routes]]\ntargets = ["ops"]\n')
    tables, _ = read_routes(path)
    assert tables.policy().routes.routes[0].name == "route-1"


def test_the_example_is_right(monkeypatch):
    for name in ("SLACK_URL", "HOOK_SECRET", "SMTP_PASSWORD", "PAGERDUTY_KEY"):
        monkeypatch.setenv(name, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
    tables, warnings = read_routes(PROJECT / "examples" / "notify.toml")
    assert warnings == []
    assert {target.type for target in tables.targets.values()} == {
        "apprise",
        "webhook",
        "alertmanager",
        "smtp",
        "pagerduty",
    }


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


WRONG = {
    "no TOML": (GOOD.replace("[default]", "[default"), "line 19: "),
    "a key without a value": ("storm_size =\n", "line 1: "),
    "one key twice": ("storm_size = 1\nstorm_size = 2\n", "line 2: Cannot overwrite a value"),
    "an unknown key": (
        changed("storm_size", "strom_size"),
        "line 1: strom_size: Extra inputs are not permitted",
    ),
    "an unknown key of a route": (changed("owner =", "owners ="), "line 13: routes[1].owners: "),
    "a target that is not there": (
        changed('targets = ["chat"]\ncontinue', 'targets = [\n  "chat",\n  "char",\n]\ncontinue'),
        "line 15: routes[1].targets: there is no target char",
    ),
    "a default that goes nowhere": (
        changed('[default]\ntargets = ["chat"]', '[default]\ntargets = ["x"]'),
        "line 20: default.targets: there is no target x",
    ),
    "no targets in a route": (
        changed('targets = ["chat"]\ncontinue', "continue"),
        "line 9: routes[1].targets: Field required",
    ),
    "an empty list of targets": (
        changed('targets = ["chat"]\ncontinue', "targets = []\ncontinue"),
        "line 15: routes[1].targets: ",
    ),
    "two routes of one name": (
        GOOD + '[[routes]]\ntargets = ["chat"]\nname = "billing"\n',
        "line 23: routes[2].name: billing is the name of route 1 too",
    ),
    "the default's name": (
        changed('"billing"\nproject', '"default"\nproject'),
        "line 10: routes[1].name: default is the name of the default route too",
    ),
    "an unknown kind": (changed('"recovery"]', '"recoverys"]'), "line 14: routes[1].kinds[2]: "),
    "an unknown kind of target": (changed('"webhook"', '"webhok"'), "line 5: targets.chat: "),
    "a target without a kind": (changed('type = "webhook"\n', ""), "line 5: targets.chat: "),
    "a target without its URL": (
        changed('url = "https://chat.example/hook"\n', ""),
        "line 5: targets.chat.url: Field required",
    ),
    "a URL that is none": (
        changed("https://chat.example/hook", "chat.example"),
        "line 5: targets.chat: must be a URL that begins with http:// or https:// and names a host",
    ),
    "a service that nobody knows": (
        changed(
            'type = "webhook"\nurl = "https://chat.example/hook"', 'type = "apprise"\nurl = "slak://a/b/c"'
        ),
        "line 5: targets.chat: there is no service slak://",
    ),
    "a service's URL that lacks something": (
        changed('type = "webhook"\nurl = "https://chat.example/hook"', 'type = "apprise"\nurl = "slack://"'),
        "line 5: targets.chat: the URL lacks something that slack:// needs",
    ),
    "a service of the machine itself": (
        changed('type = "webhook"\nurl = "https://chat.example/hook"', 'type = "apprise"\nurl = "syslog://"'),
        "line 5: targets.chat: there is no service syslog://",
    ),
    "a duration that is none": (
        changed('"4h"', '"4 fortnights"'),
        "line 2: remind_after: must be a duration such as '30m'",
    ),
    "a duration of nothing": (changed('"30m"', "0"), "line 17: routes[1].remind_after: "),
    "a project that is no number": (changed("42", '"x"'), "line 11: routes[1].project[1]: "),
    "a placeholder that is none": (
        changed("{slug}", "{monitor}"),
        "line 3: link: there is no {monitor}, only {project}, {slug}, {environment}, {incident}",
    ),
    "a link that is none": (changed("https://ops", "ftp://ops"), "line 3: link: must begin with http"),
    "no route": ('[targets.a]\ntype = "webhook"\nurl = "http://x"\n', "line 1: it has no route"),
    "no target": ("", "line 1: it names no target"),
    "a name with a slash": (changed("[targets.chat]", '[targets."a/b"]'), "targets.a/b"),
    "a number out of range": (changed("= 5", "= 0"), "line 1: storm_size: "),
    "a mail address that is none": (
        changed(
            'type = "webhook"\nurl = "https://chat.example/hook"',
            'type = "smtp"\nhost = "h"\nsender = "a@b.example"\nto = ["nobody"]',
        ),
        "line 9: targets.chat.to: must be a mail address such as ops@example.com",
    ),
    "a password in the clear": (
        changed(
            'type = "webhook"\nurl = "https://chat.example/hook"',
            'type = "smtp"\nhost = "h"\nsender = "a@b.example"\nto = ["c@d.example"]\nusername = "u"\ntls = "none"',
        ),
        "line 10: targets.chat.username: a password is only sent with tls",
    ),
    "a longest pause below the first": (
        "retry_longest = 1\n" + GOOD,
        "line 1: retry_longest: must not be less than retry_first",
    ),
    "nested too deeply": ("a = " + "[" * 5_000, "line 1: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_that_says_where(path, case):
    text, said = WRONG[case]
    path.write_text(text)
    with pytest.raises(RoutesError) as caught:
        read_routes(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "line 1: is not UTF-8"),
        (b"# ok\n# \xe9\n", "line 2: is not UTF-8"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_text_or_too_large(path, content, said):
    path.write_bytes(content)
    with pytest.raises(RoutesError, match=said):
        read_routes(path)


def test_a_file_that_is_not_there(path):
    with pytest.raises(RoutesError, match=r"notify\.toml: No such file or directory"):
        read_routes(path)


def test_no_mistake_quotes_a_secret(path):
    path.write_text(
        '[targets.a]\ntype = "webhook"\nurl = "https://x/hunter2-hunter2"\nsecret = 5\ntls = "hunter2"\n'
        '[[routes]]\ntargets = ["a"]\n'
    )
    with pytest.raises(RoutesError) as caught:
        read_routes(path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:CRONWAX_TEST_NO_SUCH", "target chat: the variable CRONWAX_TEST_NO_SUCH is not set"),
        ("file:/nowhere/secret", "target chat: the secret file /nowhere/secret: No such file or directory"),
    ],
)
def test_a_secret_that_is_missing_stops_nothing_but_its_target(path, reference, said):
    path.write_text(changed("https://chat.example/hook", reference))
    tables, warnings = read_routes(path)
    assert warnings == [said]
    assert "chat" in tables.targets


def test_secrets_come_from_variables_and_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CRONWAX_TEST_SECRET", "from a variable")
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    assert resolve("env:CRONWAX_TEST_SECRET") == "from a variable"
    assert resolve(f"file:{secret}") == "from a file"
    assert resolve("itself") == "itself"
    secret.write_bytes(b"\xff")
    with pytest.raises(SecretError, match="is no text"):
        resolve(f"file:{secret}")
    secret.write_text("\n")
    with pytest.raises(SecretError, match="is empty"):
        resolve(f"file:{secret}")


def test_secrets_and_their_parts_are_taken_out_of_texts():
    redact = Redactor(["slack://TokenAAA/Tok%2FBBB/#ops", "short"])
    assert redact("TokenAAA said\nTok/BBB and Tok%2FBBB, short") == "*** said *** and ***, ***"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def write(path, text, at_ns):
    path.write_text(text)
    os.utime(path, ns=(at_ns, at_ns))


def test_a_change_counts_soon_and_a_faulty_version_is_refused_with_one_line(path, caplog):
    caplog.set_level(logging.INFO, "cronwax")
    clock = Clock()
    write(path, GOOD, 1)
    file = RoutesFile(path, clock)
    write(path, changed("= 5", "= 7"), 2)
    assert not file.has_changed()
    clock.now += CHECK_SECONDS
    assert file.has_changed()
    assert file.tables.storm_size == 7
    caplog.clear()
    write(path, changed("= 5", "= 0"), 3)
    for _ in range(5):
        clock.now += CHECK_SECONDS
        assert not file.has_changed()
    [line] = caplog.records
    assert line.getMessage().startswith(f"{path}: line 1: storm_size: ")
    assert line.getMessage().endswith("; the version before stays in force")
    assert file.tables.storm_size == 7
    path.unlink()
    clock.now += CHECK_SECONDS
    assert not file.has_changed()
    assert file.tables.storm_size == 7
    write(path, GOOD, 4)
    clock.now += CHECK_SECONDS
    assert file.has_changed()
    assert file.tables.storm_size == 5


def test_lines_are_found_in_every_form_of_toml():
    text = '# a comment\na.b = 1\nc = {d = 2, e = """\nx"""}\n\n[[f]]\ng = [\n  1,\n  2,\n]\n[[f]]\nh = 3\n'
    expected = {
        ("a",): 2,
        ("a", "b"): 2,
        ("c", "e"): 3,
        ("f", 0): 6,
        ("f", 0, "g", 1): 7,
        ("f", 1): 11,
        ("f", 1, "h"): 12,
        ("f", 1, "absent"): 11,
        (): 1,
    }
    assert {path: line_of(text, path) for path in expected} == expected


def test_a_mistake_at_the_end_of_the_text_has_its_last_line():
    with pytest.raises(TomlError) as caught:
        parse('a = 1\nb = """\nx')
    assert caught.value.line == 3
