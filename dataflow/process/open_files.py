"""How many files this process may open: each Kafka partition is a client of its own, with its connections."""

from __future__ import annotations

import resource

from dataflow.process.exit import StartError

FILES_PER_PARTITION = 12
"""Measured: sockets, pipes and event descriptors of a consumer on a cluster of three brokers."""
OTHER_FILES = 200
"""DuckDB, the recovery store, logs, sinks, imports."""


def allow_open_files(partitions: int, processes: int = 1) -> int:
    """Raise the soft limit as far as the hard one allows; the limit then.

    Raises StartError where that is not enough for the partitions that fall to one of the processes: the client would
    end in a panic of the engine once it cannot open another socket.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS refuses an infinite one
            pass
    needed = FILES_PER_PARTITION * -(-partitions // processes) + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise StartError(
            f"{partitions} Kafka partitions need about {needed} open files a process, and the limit is {soft}: "
            "raise it (ulimit -n, or LimitNOFILE= in the unit), or take more processes"
        )
    return soft
