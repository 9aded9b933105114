"""What the runbook tells to type where there is Kafka, typed."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.kafka.topics import PATIENCE_SECONDS, read, send, value_of
from tests.processes import PROJECT, end, start
from tests.processes import settings as environment

pytestmark = pytest.mark.kafka

RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
NOW_MS = int(time.time() * 1000)


def typed(command, folder, variables):
    (folder / "run.sh").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cronwax "$@"\n')
    (folder / "run.sh").chmod(0o755)
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, (command, ended.stderr)
    return ended.stdout


def wait_for(look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


def test_a_dead_letter_is_read_and_sent_again_as_the_runbook_says_and_lag_says_how_much_is_left(
    broker, settings_for, tmp_path
):
    settings = settings_for(broker, publish_interval=0)
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    variables = environment(**given | {"data_dir": tmp_path / "data"})
    topic = settings.checkins_topic
    send(broker.bootstrap, topic, 1, [(NOW_MS, b"no message")])
    flow = start(variables, "-s", 1)
    try:
        wait_for(lambda: read(broker.bootstrap, settings.dead_letter_topic))
        part = RUNBOOK.partition("### ... read a dead letter")[2].partition("###")[0]
        (block,) = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
        shown, kept, sent = block.splitlines()
        assert f"{topic}/1/0" in typed(shown, tmp_path, variables)
        typed(kept, tmp_path, variables)
        assert re.search(
            rf"^1 sent to {topic}/1 at offsets \d+ to \d+$", typed(sent, tmp_path, variables), re.MULTILINE
        )
        assert [value_of(message) for message in read(broker.bootstrap, topic)] == [b"no message"] * 2

        def unread():
            rows = csv.DictReader(io.StringIO(typed("./run.sh lag --csv", tmp_path, variables)))
            return {row["partition"]: row["unread_messages"] for row in rows if row["topic"] == topic}

        wait_for(lambda: (tmp_path / "data" / "monitors.duckdb").exists())
        wait_for(lambda: set(unread().values()) == {"0"})
    finally:
        flow.send_signal(signal.SIGTERM)
        ended = end(flow)
    assert ended.status == 0, ended.err
    send(broker.bootstrap, topic, 1, [(NOW_MS, b"no message")] * 3)
    wait_for(lambda: unread()["1"] == "3")
