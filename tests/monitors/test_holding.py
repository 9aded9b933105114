"""What is held while a tick is pending, one environment at a time."""

from __future__ import annotations

from dataflow.monitors import holding
from dataflow.monitors.check_in import ERROR, OK, TIMEOUT
from dataflow.monitors.config import ConfigUpdate, parse_config
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor, MonitorState
from dataflow.monitors.run import Run
from dataflow.monitors.times import FAR_MINUTE, Microseconds, Minute


def monitor_with(environment):
    parsed = parse_config(b'{"schedule": {"type": "crontab", "value": "0 * * * *"}}')
    assert isinstance(parsed, ConfigUpdate)
    environments = {environment.name: environment}
    return Monitor.restore(MonitorState(1, "m", "m", False, False, parsed.merged_into(None), environments))


def run_of(number, status):
    return Run(bytes([number] * 16), status, number, number, Minute(0), FAR_MINUTE, FAR_MINUTE, None, None)


def test_once_the_job_has_confirmed_its_time_out_nothing_is_held_any_more():
    environment = Environment("production")
    monitor, journal = monitor_with(environment), Journal()
    timed_out = run_of(1, TIMEOUT)
    holding.hold(environment, timed_out, Minute(5), True)
    holding.note_success(monitor, environment, run_of(2, OK), Microseconds(400_000_000), journal)
    assert environment.held is not None
    assert len(environment.held) == 2
    holding.report_late(monitor, environment, timed_out, ERROR, Microseconds(500_000_000), journal)
    assert environment.held is None
    assert [notice.guid for notice in journal.notices] == [timed_out.guid]
