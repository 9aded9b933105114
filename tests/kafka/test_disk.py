"""A disk that is full ends the flow with one line; when there is space again, nothing is missing."""

import subprocess
from contextlib import suppress

import pytest

from tests.kafka.check_in_stream import Feed, last_minute, stream
from tests.kafka.results import assert_same, result_of

pytestmark = pytest.mark.kafka

SIZE_MB = 48


@pytest.fixture
def small_disk():
    """Mounts small file systems."""
    mounted = []

    def mount(folder):
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a small tmpfs: run as root")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Leave no space in a folder; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.mark.parametrize(
    ("which", "words"), [("data", "No space left on device"), ("recovery", "recovery store cannot be used")]
)
def test_a_full_disk_is_one_line_and_afterwards_nothing_is_missing(
    own_broker, siblings, small_disk, tmp_path, which, words
):
    small_disk(tmp_path / "deployment-0" / which)
    flow, undisturbed = siblings(), siblings()
    check_ins = stream(seed=7, monitors=30, minutes=120)
    feed = Feed(own_broker.bootstrap, flow.settings.checkins_topic, check_ins)
    feed.give(feed.total // 2)
    flow.start()
    flow.wait_for(flow.read)
    ballast = fill(flow.folder / which)
    feed.give()
    assert flow.running[0].status() == 1
    (line,) = flow.running[0].last_words()
    assert words in line
    ballast.unlink()
    for each in (flow, undisturbed):
        each.run_to(last_minute(check_ins))
    assert_same(result_of(undisturbed), result_of(flow))
