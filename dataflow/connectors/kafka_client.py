"""Clients of one Kafka cluster: their options, what they report by themselves, and the check at the start."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from dataflow.process.exit import FlowError, StartError
from dataflow.process.log import write
from dataflow.settings import Settings

START_SECONDS = 10.0
"""How long the cluster may take to answer at the start."""
RETRY_SECONDS = 0.2

Answer = TypeVar("Answer")
_LOG_PAUSE_SECONDS = 60.0
_TOPIC_SETTINGS = ("CHECKINS_TOPIC", "CONTROLS_TOPIC", "OCCURRENCES_TOPIC", "DEAD_LETTER_TOPIC")

_TUNING: dict[str, str] = {
    "client.id": "cronwax",
    "socket.keepalive.enable": "true",
    "log.connection.close": "false",
    # A broker that is back is found again within two seconds.
    "reconnect.backoff.max.ms": "2000",
}
_CONSUMER_TUNING: dict[str, str] = {
    # Each partition has a client of its own, and so a queue of its own: the defaults are 64 MiB for each.
    "queued.min.messages": "16384",
    "queued.max.messages.kbytes": "16384",
    # The default is a second's pause whenever the queue is full; a backlog would be read in jerks.
    "fetch.queue.backoff.ms": "10",
}
_PRODUCER_TUNING: dict[str, str] = {
    # The broker says what is too large: a dead letter is larger than the message that it holds.
    "message.max.bytes": "10000000",
}
_BATCH_BYTES = 1_000_000
"""librdkafka's default."""
_BATCH_OVERHEAD_BYTES = 1_000
_CONSUMER: dict[str, str] = {
    "group.id": "cronwax",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
}
_PRODUCER: dict[str, str] = {"enable.idempotence": "true", "acks": "all", "partitioner": "murmur2_random"}

_ADMIN: dict[str, str] = {
    # Else it asks a broker that restarted under the partition's former leader epoch, for a quarter of an hour.
    "metadata.max.age.ms": "1000",
}

_POSITIONS = "positions are kept in the recovery store, not with a consumer group"
_ORDER = "a message could be lost, sent twice or out of order"
_SET_ELSEWHERE: dict[str, str] = {
    "bootstrap.servers": "CRONWAX_KAFKA_BOOTSTRAP_SERVERS sets it",
    "metadata.broker.list": "CRONWAX_KAFKA_BOOTSTRAP_SERVERS sets it",
    "message.timeout.ms": "CRONWAX_KAFKA_DELIVERY_TIMEOUT_SECONDS sets it",
    "delivery.timeout.ms": "CRONWAX_KAFKA_DELIVERY_TIMEOUT_SECONDS sets it",
    "auto.offset.reset": "CRONWAX_KAFKA_START says where a partition begins",
    "enable.partition.eof": "the event clock needs it",
    "group.id": _POSITIONS,
    "group.instance.id": _POSITIONS,
    "group.protocol": _POSITIONS,
    "partition.assignment.strategy": _POSITIONS,
    "transactional.id": _ORDER,
    "retries": _ORDER,
    "message.send.max.retries": _ORDER,
    "max.in.flight": _ORDER,
    "max.in.flight.requests.per.connection": _ORDER,
    "partitioner": "a key must stay with its partition",
    "test.mock.num.brokers": "it would replace the cluster",
}
"""Options that cannot be given at all, and why."""
_ONLY: dict[str, tuple[tuple[str, ...], str]] = {
    "enable.idempotence": (("true",), _ORDER),
    "acks": (("all", "-1"), _ORDER),
    "request.required.acks": (("all", "-1"), _ORDER),
    "enable.auto.commit": (("false",), _POSITIONS),
    "enable.auto.offset.store": (("false",), _POSITIONS),
}
"""Options that have one value only, and why."""
_SECRET = re.compile("pass|secret|key|pem|token|oauthbearer|username")
"""Names of options whose values are never shown."""
_SHORT = 4
"""A secret of fewer letters is only taken for one where it is a word."""
_UNTOLD = ("CONFWARN", "GETPID")
"""Kinds of log lines that help nobody: an option for producers given to a consumer, or the other way
round; and that a broker which has just started is asked once more."""
_REFUSED_LOGIN = {
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_TRANSIENT = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    # The group is never used, but librdkafka looks for its coordinator all the same.
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}

_UNKNOWN = {KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}


class KafkaStartError(StartError):
    """Kafka cannot be used as it is set: an option, the address, the login or a topic is wrong."""


class KafkaAwayError(KafkaStartError):
    """The cluster does not answer: a later start may find it."""

    status = FlowError.status


class Reports:
    """What a client reports beside its calls: errors and log lines. One for each client.

    Log lines go on to the logger `cronwax.kafka`, of each kind one a minute: while a broker is away
    librdkafka repeats itself several times a second, for each client. `logged`, which clients share, holds
    when each kind was logged last.
    """

    def __init__(self, secrets: tuple[str, ...], logged: dict[str, tuple[float, int]]) -> None:
        self._secrets = secrets
        self._logged = logged
        self.last: str | None = None
        """The newest error, in words."""
        self.fatal: str | None = None
        """The error after which the client does nothing any more."""
        self.refused: str | None = None
        """Why the login or the connection's encryption failed."""

    def error(self, error: KafkaError) -> None:
        """Take an error (librdkafka's error_cb)."""
        text = self.redact(error.str())
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self.last is None:
            self.last = text
        if error.fatal():
            self.fatal = text
        if error.code() in _REFUSED_LOGIN:
            self.refused = text

    def log(self, level: int, message: str, *parts: object) -> None:
        """Take a log line, as `logging.Logger.log` would; the first part is librdkafka's kind of line."""
        kind = str(parts[0]) if parts else message
        if kind in _UNTOLD:
            return
        now = time.monotonic()
        since, left_out = self._logged.get(kind, (-_LOG_PAUSE_SECONDS, 0))
        if now - since < _LOG_PAUSE_SECONDS:
            self._logged[kind] = since, left_out + 1
            return
        self._logged[kind] = now, 0
        more = f" ({left_out} more like it)" if left_out else ""
        text = self.redact(message % parts if parts else message)
        # Not an error yet: librdkafka retries, and what is not transient ends the flow with a line of its own.
        write(min(level, logging.WARNING), "kafka", text=f"{text}{more}")

    def redact(self, text: str) -> str:
        """A text without secrets, in one line."""
        for secret in self._secrets:
            # One of few letters is found in many words.
            pattern = re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = re.sub(pattern, "***", text)
        return " ".join(re.sub(r'Invalid value ".*?" for', "Invalid value for", text).split())


class Kafka:
    """Makes the clients of the cluster that the settings name. Raises KafkaStartError for wrong options."""

    def __init__(self, settings: Settings) -> None:
        self.bootstrap = settings.kafka_bootstrap_servers or ""
        self.timeout_seconds = settings.kafka_delivery_timeout_seconds
        self._options = _given_options(settings)
        options = self._options.items()
        self._secrets = tuple(value for name, value in options if value and _SECRET.search(name))
        self._logged: dict[str, tuple[float, int]] = {}

    def reports(self) -> Reports:
        """Takes what one client reports; to be given to the methods below."""
        return Reports(self._secrets, self._logged)

    def consumer(self, reports: Reports, **fixed: str) -> Consumer:
        """A consumer that neither commits nor skips; `fixed`: further options, with _ for the dots."""
        options = _TUNING | _CONSUMER_TUNING | self._options | _CONSUMER
        options |= {name.replace("_", "."): value for name, value in fixed.items()}
        return Consumer(self._complete(options, reports), logger=reports)

    def producer(
        self, reports: Reports, limit_bytes: int | None = None, is_patient: bool = False
    ) -> Producer:
        """An idempotent producer: what it reports as delivered is in the topic, once and in order.

        `limit_bytes` is the lowest `max.message.bytes` of its topics, which holds for a batch as a whole: no batch is
        made larger. A patient producer never gives a message up for the time that it takes.
        """
        options = _TUNING | _PRODUCER_TUNING | self._options | _PRODUCER
        options["message.timeout.ms"] = "0" if is_patient else str(int(self.timeout_seconds * 1000))
        if limit_bytes is not None:
            given = int(options.get("batch.size", _BATCH_BYTES))
            options["batch.size"] = str(max(1, min(given, limit_bytes - _BATCH_OVERHEAD_BYTES)))
        return Producer(self._complete(options, reports), logger=reports)

    def admin(self, reports: Reports) -> AdminClient:
        """A client for questions about topics. Raises KafkaStartError for a wrong option or value."""
        try:
            return AdminClient(self._complete(_TUNING | self._options | _ADMIN, reports), logger=reports)
        except (KafkaException, TypeError, ValueError) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            raise KafkaStartError(f"CRONWAX_KAFKA_CONFIG: {reports.redact(reason)}") from None

    def partitions(self, *topics: str, patience_seconds: float = START_SECONDS) -> dict[str, list[int]]:
        """The partitions of the topics, sorted.

        Raises KafkaStartError when the cluster does not answer in time, refuses the login, or lacks a topic.
        """
        reports = self.reports()
        admin = self.admin(reports)
        found = self._topics(admin, reports, time.monotonic() + patience_seconds)
        missing = [topic for topic in topics if topic not in found or found[topic].error is not None]
        if missing:
            names = ", ".join(f"CRONWAX_{name}" for name in _TOPIC_SETTINGS)
            raise KafkaStartError(
                f"Kafka at {self.bootstrap} has no topic {' and no topic '.join(missing)}, or none that this "
                f"login may see: create it, or correct the setting (one of {names})"
            )
        return {topic: sorted(found[topic].partitions) for topic in topics}

    def _topics(self, admin: AdminClient, reports: Reports, deadline: float) -> dict[str, Any]:
        while True:
            left = deadline - time.monotonic()
            try:
                return dict(admin.list_topics(timeout=max(0.1, min(1.0, left))).topics)
            except KafkaException as error:
                admin.poll(0)  # hands over what went wrong; the exception knows only that something did
                if reports.refused:
                    hint = "see CRONWAX_KAFKA_CONFIG"
                    raise KafkaStartError(
                        f"Kafka at {self.bootstrap} refuses the connection: {reports.refused} ({hint})"
                    ) from None
                if time.monotonic() >= deadline:
                    reason = reports.last or reports.redact(error.args[0].str())
                    raise KafkaAwayError(
                        f"Kafka at {self.bootstrap} does not answer: {reason} "
                        "(see CRONWAX_KAFKA_BOOTSTRAP_SERVERS and CRONWAX_KAFKA_CONFIG)"
                    ) from None

    def _complete(self, options: dict[str, str], reports: Reports) -> dict[str, Any]:
        return {**options, "bootstrap.servers": self.bootstrap, "error_cb": reports.error}


def _given_options(settings: Settings) -> dict[str, str]:
    """The options that the settings give, as text. Raises KafkaStartError; it names options, not values."""
    options: dict[str, str] = {}
    for name, value in (settings.kafka_config | _options_of_file(settings)).items():
        if not isinstance(value, str | int | float):
            raise KafkaStartError(f"CRONWAX_KAFKA_CONFIG: {name}: must be a text, a number, true or false")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if name in _SET_ELSEWHERE:
            raise KafkaStartError(f"CRONWAX_KAFKA_CONFIG: {name} cannot be set: {_SET_ELSEWHERE[name]}")
        allowed, reason = _ONLY.get(name, ((text,), ""))
        if text.lower() not in allowed and text not in allowed:
            raise KafkaStartError(f"CRONWAX_KAFKA_CONFIG: {name} can only be {allowed[0]}: else {reason}")
        options[name] = text
    return options


def _options_of_file(settings: Settings) -> dict[str, Any]:
    path = settings.kafka_config_file
    if path is None:
        return {}
    where = f"CRONWAX_KAFKA_CONFIG_FILE: {path}"
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KafkaStartError(f"{where}: {error.strerror}") from None
    except ValueError:  # its text may quote the file
        raise KafkaStartError(f"{where}: is not JSON") from None
    if not isinstance(options, dict):
        raise KafkaStartError(f"{where}: must hold one JSON object")
    return options


def is_transient(error: KafkaError) -> bool:
    """Whether an error is transient: librdkafka retries by itself. After a while of that the broker counts as away."""
    return error.code() in _TRANSIENT


def patiently(call: Callable[[], Answer], seconds: float, knows_partition: bool = False) -> Answer:
    """Call until it succeeds. Raises KafkaException for what is not transient, and when time is up.

    `knows_partition`: the partition that it asks about was there before. A broker that has just started may not have
    heard of it yet.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except KafkaException as error:
            is_unheard_of = knows_partition and error.args[0].code() in _UNKNOWN
            if not (is_unheard_of or is_transient(error.args[0])) or time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)


class OffsetInfo(Protocol):
    """What a broker says about a partition."""

    offset: int


OffsetAnswer = Future[OffsetInfo]


def ask_offset(
    admin: AdminClient, part: TopicPartition, which: Literal["earliest", "latest"], timeout_seconds: float
) -> OffsetAnswer:
    """Ask where a partition begins or ends (committed or not), without waiting for the answer."""
    spec = OffsetSpec.earliest() if which == "earliest" else OffsetSpec.latest()  # type: ignore[no-untyped-call]
    answer: OffsetAnswer = admin.list_offsets({part: spec}, request_timeout=timeout_seconds)[part]
    return answer
