"""Thresholds: this many failures in a row open an incident, this many successes resolve it (SPEC, section 7)."""

from __future__ import annotations

from dataflow.monitors.alarms import AlarmPolicy, Counted
from dataflow.monitors.environment import Environment
from dataflow.monitors.journal import Journal
from dataflow.monitors.monitor import Monitor
from dataflow.monitors.records import Failure
from dataflow.monitors.times import Microseconds


class Thresholds(AlarmPolicy):
    """
                      N-th failure in a row (a)
        active, ok  ----------------------------->  error  --+ further failures (b):
                    <-----------------------------   ^       | one more occurrence each
                      M-th success in a row (c)      +-------+

    N is `failure_issue_threshold`, M `recovery_threshold`.
    """

    name = "thresholds"

    def on_failure(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """See AlarmPolicy."""
        environment.oks = 0
        run = counted.run
        if counted.incident is not None:
            counted.kinds = (run.status,)  # (b)
            return
        row = environment.failures = environment.failures or []
        row.append(Failure(run.guid, run.date_added_us, run.status, counted.at_us))
        threshold = monitor.config.failure_threshold
        if len(row) >= threshold:
            row = row[-threshold:]
            counted.opens_at = row[0]  # (a)
            counted.kinds = tuple(failure.status for failure in row)

    def on_success(
        self, monitor: Monitor, environment: Environment, counted: Counted, journal: Journal
    ) -> None:
        """See AlarmPolicy."""
        environment.failures = None
        if counted.incident is None:
            return
        environment.oks += 1
        if environment.oks >= monitor.config.recovery_count:
            environment.oks = 0
            counted.resolves = True  # (c)

    def on_reset(
        self, monitor: Monitor, environment: Environment, at_us: Microseconds, journal: Journal
    ) -> None:
        """See AlarmPolicy."""
        environment.failures = None
        environment.oks = 0

    def on_change(self, monitor: Monitor, environment: Environment, counted: Counted) -> None:
        """See AlarmPolicy."""
        environment.failures = None
