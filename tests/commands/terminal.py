"""The command as a person starts it, on a terminal and in a pipe, and a small snapshot to ask."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pexpect
from msgspec.structs import replace

from state.publish.publish import Publisher
from state.schema.tables.runs import IncidentRow
from state.write.writer import StateWriter
from tests.processes import PROJECT, settings
from tests.state.state_rows import START_US, check_in, environment, guid, monitor, partition, row, write

INCIDENT = "ab" * 16
NASTY = "e\x1b[31mvil\x9b2J\u202egnp\u200b"
SLUG = "a-job-with-quite-a-long-name"
COMMAND = [sys.executable, "-P", "-m", "cronwax"]
WIDTHS = (60, 80, 120)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def small_snapshot(folder):
    """Two monitors, one of them failing; what the other's environment is called would act on a terminal."""
    writer = StateWriter.open(folder)
    mail = environment(slug="mail")
    write(
        writer,
        monitors=[monitor(slug=SLUG, name="One"), monitor(slug="mail", name="Mail")],
        monitor_environments=[
            environment(slug=SLUG, status="error", incident=INCIDENT),
            replace(mail, environment=NASTY),
        ],
        check_ins=[check_in(1, slug=SLUG), check_in(2, "missed", slug=SLUG, minute=5)],
        incidents=[
            row(
                IncidentRow,
                incident_id=INCIDENT,
                project_id=1,
                slug=SLUG,
                environment="production",
                fingerprint=INCIDENT,
                starting_check_in_id=guid(2),
                starting_timestamp=START_US + 123_456,
                resolving_check_in_id=None,
                resolving_timestamp=None,
            )
        ],
        partitions=[partition(18)],
    )
    Publisher(writer, folder, 0, time.time).publish()
    writer.close()
    return folder


def variables(data, **others):
    """The environment of a command about a data folder."""
    return {**settings(data_dir=data), "PYTHONPATH": str(PROJECT), "TERM": "xterm", **others}


def seen(data, width, *arguments, command=COMMAND, cwd=None, **others):
    """What a terminal of this width is sent."""
    child = pexpect.spawn(
        command[0],
        [*command[1:], *arguments],
        env=variables(data, **others),
        dimensions=(40, width),
        encoding="utf-8",
        timeout=60,
        cwd=cwd,
    )
    child.expect(pexpect.EOF)
    child.close()
    return child.before.replace("\r\n", "\n")


def piped(data, *arguments, cwd=None, stdin=subprocess.DEVNULL, **others):
    """How a command ends whose output is read by a program."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=variables(data, **others),
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
    )


def said(ended, status=2):
    """The one line of a command that could not do what it was to do."""
    assert ended.returncode == status, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("cronwax: "), line
    return line.removeprefix("cronwax: ")


def cpu_seconds(pid):
    """How long a process that runs has used a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_no_traceback(err):
    """No traceback with a line of ours: Python's own start, before it runs one, is nobody's to guard."""
    ours = [line for line in err.splitlines() if f'File "{PROJECT}/' in line and "/.venv/" not in line]
    assert ours == [], err
    assert "Exception" not in err, err
