"""The notifier as a process: its stops, its commands, and starts that cannot be."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from urllib.request import urlopen

import pytest

from cronwax.notify import service
from dataflow.settings import Settings
from tests.intake.running import wait_for
from tests.notify.messages import failure, recovery, stall
from tests.notify.places import Place, route_all, titles
from tests.notify.receivers import Answer, Receiver
from tests.processes import free_ports

pytestmark = pytest.mark.process


def test_a_process_goes_on_where_it_was_stopped(place: Place, receiver: Receiver):
    route_all(place, ops=receiver)
    place.happen([failure("a"), recovery("a")])
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    place.happen([failure("b")])
    wait_for(lambda: len(receiver.taken) == 1)
    assert place.stop(process) == 0
    place.happen([recovery("b"), failure("c"), recovery("c")])
    process = place.start()
    wait_for(lambda: len(receiver.taken) == 4)
    assert place.stop(process, signal.SIGINT) == 0
    assert titles(receiver) == [
        "b (production) failed",
        "b (production) recovered",
        "c (production) failed",
        "c (production) recovered",
    ]
    again = place.run("--since", "2025-01-01")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.splitlines()[-1].startswith("cronwax: --since is for a first start")


def test_a_target_that_hangs_does_not_keep_the_process_from_its_end(place: Place, receivers):
    hangs = receivers(lambda request: Answer(-1))
    route_all(place, ops=hangs)
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    place.happen([failure("a")])
    wait_for(lambda: hangs.asked)
    process.send_signal(signal.SIGTERM)
    # Beyond the 4 seconds that it waits for the attempt there is only the machine's own slowness.
    assert process.wait(service.STOP_SECONDS + 10) == 0
    assert place.ask("SELECT state FROM outbox") == [("waiting",)]
    hangs.judge = lambda request: Answer(200)
    process = place.start()
    wait_for(lambda: place.ask("SELECT state FROM outbox") == [("sent",)])
    assert place.stop(process) == 0
    assert len({each.headers["Idempotency-Key"] for each in hangs.taken}) == 1
    assert place.ask("SELECT number, outcome FROM attempts ORDER BY number") == [(1, "unknown"), (2, "sent")]


def test_one_ledger_has_one_notifier(place: Place, receiver: Receiver):
    route_all(place, ops=receiver)
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    second = place.run()
    assert (second.returncode, second.stderr) == (
        1,
        f"cronwax: {place.data / 'notify'}: another notifier runs on it\n",
    )
    assert place.stop(process) == 0


def test_metrics_can_be_scraped(places, receiver: Receiver):
    [port] = free_ports(1)
    place = places(notify_metrics_port=port)
    route_all(place, ops=receiver)
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    place.happen([failure("a")])
    wait_for(lambda: receiver.taken)

    def scraped() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read(), "utf-8")

    wait_for(lambda: 'cronwax_notify_notifications_total{outcome="sent",target="ops"} 1.0' in scraped())
    assert "cronwax_notify_open_incidents 1.0" in scraped()
    assert place.stop(process) == 0


def _damage_ledger(place: Place) -> None:
    (place.data / "notify").mkdir()
    (place.data / "notify" / "ledger.sqlite3").write_bytes(b"x" * 4096)


WRONG_STARTS: dict[str, tuple[Callable[[Place], object], str]] = {
    "no routes file": (lambda place: place.routes.unlink(), "notify.toml: No such file or directory"),
    "a faulty routes file": (lambda place: place.routes.write_text("x"), "notify.toml: line 1: "),
    "a damaged ledger": (_damage_ledger, "ledger.sqlite3: file is not a database"),
    "a wrong port": (
        lambda place: place.variables.update(CRONWAX_NOTIFY_METRICS_PORT="0"),
        "CRONWAX_NOTIFY_METRICS_PORT: ",
    ),
    "a misspelt setting": (
        lambda place: place.variables.update(CRONWAX_NOTIFY_PAHT="x"),
        "do you mean CRONWAX_NOTIFY_PATH?",
    ),
}


@pytest.mark.parametrize("case", WRONG_STARTS)
def test_a_start_that_cannot_be_is_one_line(place: Place, receiver: Receiver, case):
    spoil, said = WRONG_STARTS[case]
    route_all(place, ops=receiver)
    spoil(place)
    ended = place.run()
    assert ended.returncode == 2, ended.stderr
    complaints = [line for line in ended.stderr.splitlines() if line.startswith("cronwax: ")]
    assert len(complaints) == 1
    assert said in complaints[0]
    assert "Traceback" not in ended.stderr


# --- check, test, log


def test_check_says_who_is_notified(place: Place, receiver: Receiver):
    place.routes.write_text(
        f"""
        targets.chat = "json://127.0.0.1:{receiver.port}"
        [targets.pager]
        type = "pagerduty"
        routing_key = "env:CRONWAX_TEST_PAGER"
        [[routes]]
        name = "billing"
        project = 42
        slug = "billing-*"
        kinds = ["failure", "recovery"]
        targets = ["pager"]
        continue = true
        [default]
        targets = ["chat"]
        """
    )
    place.variables["CRONWAX_TEST_PAGER"] = "hunter2"
    checked = place.run("check", "--monitor", "42/billing-x", "--monitor", "1/a")
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    assert lines[:3] == [
        f"{place.routes}: 2 targets, 2 routes",
        "target chat: apprise",
        "target pager: pagerduty",
    ]
    assert "42/billing-x, production:" in lines
    assert "  a failure                      pager (billing), chat (default)" in lines
    assert "  flapping                       chat (default)" in lines
    assert "hunter2" not in checked.stdout
    del place.variables["CRONWAX_TEST_PAGER"]
    checked = place.run("check")
    assert (checked.returncode, checked.stderr) == (
        2,
        "cronwax: target pager: the variable CRONWAX_TEST_PAGER is not set\n",
    )


def test_a_test_is_sent_once_and_says_what_came_of_it(place: Place, receiver: Receiver):
    route_all(place, ops=receiver)
    tested = place.run("test", "ops")
    assert (tested.returncode, tested.stdout) == (0, "target ops (webhook) has taken it: 200\n")
    assert titles(receiver) == ["Cronwax: a test"]
    receiver.judge = lambda request: Answer(500)
    tested = place.run("test", "ops")
    assert (tested.returncode, tested.stderr) == (1, "cronwax: target ops: it answers 500\n")
    tested = place.run("test", "opps")
    assert (tested.returncode, tested.stderr) == (
        2,
        "cronwax: there is no target opps; do you mean ops?\n",
    )


def test_the_log_shows_each_attempt(place: Place, receivers):
    judge = iter([Answer(503), Answer(200), Answer(400)])
    receiver = receivers(lambda request: next(judge, Answer(200)))
    route_all(place, ops=receiver)
    empty = place.run("log")
    assert (empty.returncode, empty.stderr) == (
        1,
        f"cronwax: {place.data / 'notify'}: there is no ledger; nothing was ever sent\n",
    )
    process = place.start()
    place.wait_for_line("event=notify_caught_up")
    place.happen([failure("a"), failure("b"), failure("c"), stall()])
    wait_for(place.is_idle)
    shown = place.run("log", "--json")
    assert place.stop(process) == 0
    entries = {entry["slug"]: entry for entry in map(json.loads, shown.stdout.splitlines())}
    assert [each["outcome"] for each in entries["a"]["attempts"]] in (
        ["failed", "sent"],
        ["failed", "refused"],
    )
    states = sorted(entry["state"] for entry in entries.values())
    assert states == ["dead", "sent", "sent", "sent"]
    dead = next(entry for entry in entries.values() if entry["state"] == "dead")
    assert dead["detail"] == "it answers 400"
    lines = place.run("log", "--state", "dead").stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("it answers 400")
    assert len(place.run("log", "--incident", entries["b"]["incident_id"]).stdout.splitlines()) == 1
    assert len(place.run("log", "--limit", "2").stdout.splitlines()) == 2
    assert place.run("log", "--target", "nobody").stdout == ""


@pytest.mark.parametrize("word", ["yesterday", "2025-13-01", ""])
def test_a_since_that_is_no_time_is_one_line(place: Place, word):
    ended = place.run("--since", word)
    assert ended.returncode == 2
    assert ended.stderr == f"cronwax: --since {word!r}: must be a time such as 2026-11-25T18:00, or now\n"


def test_settings_name_the_file_in_the_data_folder_by_default(tmp_path, monkeypatch):
    from cronwax.notify.settings import NotifySettings, routes_path

    for name in ("CRONWAX_NOTIFY_PATH", "CRONWAX_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert routes_path(Settings(data_dir=tmp_path), NotifySettings.load()) == tmp_path / "notify.toml"


def test_attempts_are_cut_off_before_a_supervisor_loses_its_patience():
    from cronwax.serve.parts import STOP_SECONDS

    assert service.STOP_SECONDS + service.WAIT_SECONDS < 5 < STOP_SECONDS
