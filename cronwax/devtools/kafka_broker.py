"""A real Apache Kafka broker: one process (KRaft) on loopback, from jars that Maven fetches once.

`cronwax kafka` runs one until Ctrl-C or SIGTERM, with a deployment's topics.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

HERE = Path(__file__).resolve().parent
_CHECKOUT = HERE.parents[1]
CACHE = (
    _CHECKOUT / ".cache" / "kafka"
    if (_CHECKOUT / "run.sh").is_file()
    else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cronwax" / "kafka"
)
"""Where the jars are kept between runs: in the checkout, or in the user's cache."""
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_CREATE_SECONDS = 90.0
"""So long clients ask for a topic, one after the other, until one is heard."""
_BUSY = (KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError.INVALID_REPLICATION_FACTOR)
"""What a broker that cannot keep up says about a topic; the last, of a single replica, that it is fenced itself."""
TOPICS = ("ingest-monitors:8", "monitor-controls:1", "ingest-occurrences:4", "ingest-monitors-dlq:1")
"""What `run` creates: NAME:PARTITIONS."""
USER = "cronwax"
PASSWORD = "open-sesame"  # noqa: S105 - of a broker for tests and development
"""Who may log in at `login_bootstrap` (SASL PLAIN)."""

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},LOGIN://127.0.0.1:{login}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# After a kill, the next start need not wait long until its predecessor counts as dead.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
# Messages of tests carry times of their own, long past: retention by time would delete them.
log.retention.ms=-1
"""


class BrokerError(Exception):
    """No broker can be run here; the text says what is missing."""


class Silent:
    """Takes a client's log lines and drops them: while a broker starts or restarts they say nothing new."""

    def log(self, level: int, message: str, *parts: object) -> None:
        """Drop a line."""


def jars(cache: Path = CACHE) -> Path:
    """The folder of the broker's jars, fetched if it is not there yet. Raises BrokerError."""
    pom = HERE / "pom.xml"
    folder = cache / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    fetched = Path(tempfile.mkdtemp(prefix="fetch-", dir=cache))
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    result = subprocess.run(
        [*command, f"-DoutputDirectory={fetched}"], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        shutil.rmtree(fetched)
        raise BrokerError(f"Maven could not fetch the broker: {_last_lines(result.stdout)}")
    try:
        fetched.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(fetched)
    return folder


def missing_tools() -> str | None:
    """What this machine lacks to run a broker; None if nothing."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found" if absent else None


class Broker:
    """One broker of its own, with its data in a temporary folder that `stop` removes.

    It keeps its port and data over `restart` and over `kill` and `start`. `java_options` are for the JVM, beside those
    that it always has.
    """

    def __init__(
        self,
        port: int | None = None,
        heap: str = "512m",
        cache: Path = CACHE,
        java_options: Sequence[str] = (),
    ) -> None:
        missing = missing_tools()
        if missing:
            raise BrokerError(missing)
        self._jars = jars(cache)
        self._options = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-Xshare:auto", *java_options]
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="cronwax-kafka-"))
        self.port, controller, login = _free_ports(port)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.login_bootstrap = f"127.0.0.1:{login}"
        self.log = self._folder / "broker.log"
        self._properties = self._folder / "server.properties"
        ports = {"port": self.port, "controller": controller, "login": login}
        data = self._folder / "data"
        self._properties.write_text(PROPERTIES.format(data=data, user=USER, password=PASSWORD, **ports))
        first, *others = uuid.uuid4().bytes
        # With its first bit it could begin with a dash, and be taken for an option.
        cluster = urlsafe_b64encode(bytes([first & 0x7F, *others])).decode().rstrip("=")
        arguments = ["format", "-t", cluster, "-c", str(self._properties)]
        result = subprocess.run(
            self._java("kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise BrokerError(f"the storage cannot be formatted: {_last_lines(result.stderr)}")

    def start(self) -> Broker:
        """Start it, and wait until it answers. Raises BrokerError with the end of its log."""
        command = self._java("kafka.Kafka", str(self._properties))
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                raise BrokerError(f"the broker does not start: {_last_lines(self.log.read_text())}")
        return self

    def stop(self) -> None:
        """Stop it in good order, and remove its data."""
        self._end(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End it at once; its data stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order and start it again on the same port and data."""
        self._end(signal.SIGTERM)
        self.start()

    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Create a topic, with settings such as `retention_ms="1000"`; its name."""
        return create_topic(self.bootstrap, name, partitions, **config)

    def _java(self, *arguments: str) -> list[str]:
        classes = f"{HERE}{os.pathsep}{self._jars}/*"  # HERE for log4j2.properties
        return ["java", *self._options, "-cp", classes, *arguments]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            return bool(admin(self.bootstrap).list_topics(timeout=1).brokers)
        except (OSError, KafkaException):
            time.sleep(0.05)
            return False

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._process = None
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def admin(bootstrap: str) -> AdminClient:
    """A client for topics."""
    return AdminClient({"bootstrap.servers": bootstrap}, logger=Silent())


def create_topic(bootstrap: str, name: str, partitions: int = 1, **config: str) -> str:
    """Create a topic, and wait until every client sees it; its name."""
    settings: dict[str, Any] = {option.replace("_", "."): value for option, value in config.items()}
    topic = NewTopic(name, partitions, 1, config=settings)
    client = _create(bootstrap, topic)
    while name not in client.list_topics(timeout=10).topics:
        pass
    return name


def _create(bootstrap: str, topic: NewTopic) -> AdminClient:
    """Ask for a topic; the client that did. A busy broker may let a client wait for its controller in vain, or be
    fenced for a moment, as it was not heard of in time: then another client asks, and may find that an earlier one was
    heard after all."""
    deadline = time.monotonic() + _CREATE_SECONDS
    asked_before = False
    while True:
        client = admin(bootstrap)
        try:
            client.create_topics([topic], operation_timeout=30, request_timeout=30)[topic.topic].result()
            return client
        except KafkaException as error:
            code = error.args[0].code()
            if asked_before and code == KafkaError.TOPIC_ALREADY_EXISTS:
                return client
            if code not in _BUSY or time.monotonic() > deadline:
                raise
            asked_before = True
            time.sleep(0.2)


def _free_ports(wanted: int | None) -> tuple[int, int, int]:
    """Three free ports; the first is the wanted one, if any."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for each in (one, two, three):
            each.bind(("127.0.0.1", 0))
        return wanted or one.getsockname()[1], two.getsockname()[1], three.getsockname()[1]


def _die_with_parent() -> None:
    """Let the broker end when whoever started it is killed (Linux; elsewhere it stays)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _last_lines(text: str, count: int = 5) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-count:])


def run(port: int, topics: list[str]) -> int:
    """Run a broker until SIGINT or SIGTERM, or until it ends by itself; the exit status."""
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        broker = Broker(port).start()
    except BrokerError as error:
        print(f"cronwax: no broker: {error}", file=sys.stderr)
        return 1
    for topic in topics:
        name, _, partitions = topic.partition(":")
        broker.create_topic(name, int(partitions or 1))
    print(broker.bootstrap, flush=True)
    while signal.sigtimedwait(stop, 0.5) is None:
        if not broker.is_running():
            print(f"cronwax: the broker ended: {_last_lines(broker.log.read_text())}", file=sys.stderr)
            broker.stop()
            return 1
    broker.stop()
    return 0
