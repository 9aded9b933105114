"""What the cluster says about the flow's topics: identity, partitions, rights, limits; and the checks at the start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AdminClient,
    ConfigResource,
    ResourceType,
    TopicDescription,
)

from dataflow.connectors.kafka_client import START_SECONDS, Kafka, KafkaStartError, is_transient
from dataflow.process.log import warn
from dataflow.settings import Settings

READ = AclOperation.READ
WRITE = AclOperation.WRITE
MAX_MESSAGE_BYTES = "max.message.bytes"
MIN_IN_SYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as the cluster describes it."""

    name: str
    identity: str
    """Cluster id and topic id, as CLUSTER/TOPIC: a topic that is deleted and created again has another one, and so has
    a topic of the same name in another cluster. Empty where the cluster does not say (before 2.8)."""
    partitions: int
    operations: Collection[AclOperation] | None
    """What this login may do with it; None where the broker does not say."""

    def is_same(self, identity: str) -> bool:
        """Whether that identity is this topic's, as far as it is known."""
        return identity in ("", self.identity) or not self.identity

    def lacks(self, *wanted: AclOperation) -> list[str]:
        """The rights that are missing among those wanted, by Kafka's names."""
        if self.operations is None:
            return []
        return [each.name.title() for each in wanted if each not in self.operations]


def describe(admin: AdminClient, names: Collection[str], timeout_seconds: float) -> dict[str, Topic]:
    """Ask the cluster about topics, by name. Raises KafkaException; also for a topic that is not there."""
    answers = admin.describe_topics(
        TopicCollection(list(names)), include_authorized_operations=True, request_timeout=timeout_seconds
    )
    cluster_id = admin.list_topics(timeout=timeout_seconds).cluster_id or ""
    return {name: _topic(name, cluster_id, answer.result()) for name, answer in answers.items()}


def _topic(name: str, cluster_id: str, found: TopicDescription) -> Topic:
    identity = f"{cluster_id}/{found.topic_id}"
    return Topic(name, identity, len(found.partitions), _operations(found))


def _operations(found: TopicDescription) -> list[AclOperation] | None:
    allowed = found.authorized_operations
    return None if allowed is None else [each for each in allowed if isinstance(each, AclOperation)]


def checked_topics(kafka: Kafka, admin: AdminClient, settings: Settings) -> dict[str, Topic]:
    """The four topics, once it is sure that they can be used. Sends nothing, so it leaves no message.

    Raises KafkaStartError for a right that this login lacks: it would show days later, at the first alert, and then
    again at each restart.
    """
    wanted = {
        settings.checkins_topic: (READ,),
        settings.controls_topic: (READ,),
        # Read back at a start: what is in them is not sent again.
        settings.occurrences_topic: (READ, WRITE),
        settings.dead_letter_topic: (READ, WRITE),
    }
    found = kafka.partitions(*wanted)  # names what is missing
    try:
        topics = describe(admin, wanted, START_SECONDS)
    except KafkaException as error:
        if is_transient(error.args[0]):
            text = f"topics cannot be described: {error.args[0].str()}; ids and rights are not checked"
            warn("kafka", text=text)
            return {name: Topic(name, "", len(found[name]), None) for name in wanted}
        raise KafkaStartError(f"Kafka at {kafka.bootstrap}: {error.args[0].str()}") from None
    for name, operations in wanted.items():
        if missing := topics[name].lacks(*operations):
            raise KafkaStartError(
                f"Kafka at {kafka.bootstrap}: this login has no right to {' and '.join(missing)} topic {name}; "
                "grant it (docs/operations.md, Rights)"
            )
    return topics


def topic_limits(admin: AdminClient, names: Collection[str], option: str) -> Mapping[str, int]:
    """A numeric option of topics, by name. Topics whose options this login may not see are left out."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found = {}
    for resource, answer in admin.describe_configs(resources, request_timeout=START_SECONDS).items():
        try:
            found[resource.name] = int(answer.result()[option].value)
        except KafkaException as error:
            denied = error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
            reason = "no right to DescribeConfigs" if denied else error.args[0].str()
            warn("kafka", text=f"{option} of topic {resource.name} is not known: {reason}")
    return found


def why_undelivered(admin: AdminClient, name: str, timeout_seconds: float) -> str | None:
    """What a topic lacks, so that nothing can be written to it; None if nothing is found.

    librdkafka tries on while there are too few in-sync replicas, and in the end says only that time ran out.
    """
    try:
        (answer,) = admin.describe_topics(TopicCollection([name]), request_timeout=timeout_seconds).values()
        partitions = answer.result().partitions
        wanted = topic_limits(admin, [name], MIN_IN_SYNC).get(name, 1)
    except KafkaException:
        return None
    headless = [str(each.id) for each in partitions if each.leader is None or each.leader.id < 0]
    if headless:
        return f"no leader for partition {', '.join(headless)} of topic {name}"
    short = [f"{each.id} ({len(each.isr)})" for each in partitions if len(each.isr) < wanted]
    if short:
        return (
            f"too few in-sync replicas in partition {', '.join(short)} of topic {name}: "
            f"min.insync.replicas is {wanted}"
        )
    return None
