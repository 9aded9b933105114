import signal
import subprocess
import sys

import pytest

from cronwax.devtools.kafka_broker import admin, missing_tools

MODULE = "cronwax"


@pytest.mark.kafka
def test_the_script_runs_a_broker_with_its_topics_until_it_is_told_to_stop(own_broker):
    assert missing_tools() is None
    command = [sys.executable, "-m", MODULE, "kafka", "--port", "0", "--topic", "one:3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        bootstrap = process.stdout.readline().strip()
        topics = admin(bootstrap).list_topics(timeout=10).topics
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert len(topics["one"].partitions) == 3
