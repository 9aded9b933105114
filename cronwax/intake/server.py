"""The intake as a process: `run` listens until it is asked to stop, and then drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from cronwax.intake.acknowledge import Acknowledging
from cronwax.intake.application import Application
from cronwax.intake.commit import GroupCommit
from cronwax.intake.forwarder import Forwarder
from cronwax.intake.log_writer import LogWriter
from cronwax.intake.project_file import projects_path
from cronwax.intake.projects import ProjectsError, ProjectsFile
from cronwax.intake.protocol import BoundedProtocol
from cronwax.intake.safe_kafka import SafeKafka
from cronwax.intake.safe_log import SafeLog
from cronwax.intake.settings import IntakeSettings
from dataflow.connectors.intake_log import FOLDER
from dataflow.operations.logs import configure_logs
from dataflow.process.exit import FlowError
from dataflow.process.log import log
from dataflow.process.wall_clock import wall_clock_us
from dataflow.settings import Settings

KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 5
"""How long requests that are being read when the stop comes may take."""
BACKLOG = 2048
_SPARE_FILES = 256


class IntakeError(Exception):
    """The intake cannot start, or go on; the text says why, in one line."""


def run(settings: Settings, own: IntakeSettings, ready: Callable[[str], None] | None = None) -> None:
    """Listen until SIGTERM or SIGINT; then answer what was begun, and return.

    `ready` is called with the address once check-ins are taken. Raises IntakeError, one line.
    """
    configure_logs()
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    _raise_file_limit(own.intake_max_connections)
    try:
        projects = ProjectsFile(projects_path(settings))
        listener = _listen(own.intake_host, own.intake_port)
        with contextlib.closing(listener):
            segment_bytes = own.intake_segment_mib << 20
            folder = settings.data_dir / FOLDER
            writer = LogWriter(folder, settings.intake_partitions, segment_bytes)
            with contextlib.closing(writer):
                uvloop.run(_serve(settings, own, projects, listener, writer, ready))
    except (ProjectsError, FlowError) as error:
        raise IntakeError(str(error)) from None
    except OSError as error:
        raise IntakeError(f"{error.filename or settings.data_dir}: {error.strerror}") from None
    log("intake_stop")


async def _serve(
    settings: Settings,
    own: IntakeSettings,
    projects: ProjectsFile,
    listener: socket.socket,
    writer: LogWriter,
    ready: Callable[[str], None] | None,
) -> None:
    commit = GroupCommit(writer, wall_clock_us)
    folder = settings.data_dir / FOLDER
    log_ = SafeLog(folder, writer, commit, settings.stall_seconds, settings.source != "kafka")
    forwarder: Forwarder | None = None
    safe: SafeLog | SafeKafka = log_
    if settings.source == "kafka":
        safe = SafeKafka(log_, asyncio.get_running_loop())
        forwarder = Forwarder(settings, folder, writer.partitions, safe.progressed)
        safe.follow(forwarder)
        forwarder.start()
    acknowledging = Acknowledging(settings.data_dir) if settings.source != "kafka" else None
    application = Application(safe, projects.current, own.intake_root_path, acknowledging=acknowledging)
    application.counts.more.append(safe.metrics)
    config = uvicorn.Config(
        application,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # keys stand in paths
        server_header=False,
        date_header=False,
        proxy_headers=bool(own.intake_trusted_proxies),
        forwarded_allow_ips=own.intake_trusted_proxies or None,
        limit_concurrency=own.intake_max_connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    address = _address(listener)
    log("intake_start", address=address, partitions=writer.partitions, folder=settings.data_dir / FOLDER)
    server = _Server(config)
    if ready is not None:
        asyncio.get_running_loop().call_soon(ready, address)
    await server.serve(sockets=[listener])
    await commit.close()
    if forwarder is not None:
        await asyncio.to_thread(forwarder.end)


class _Server(uvicorn.Server):
    """uvicorn's server, which would end by the signal that stopped it; this one ends in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except socket.gaierror as error:
        raise IntakeError(f"CRONWAX_INTAKE_HOST: {host}: {error.strerror}") from None
    except OSError as error:
        raise IntakeError(f"cannot listen at {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit(connections: int) -> None:
    """As many files as connections, as far as this process may have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
