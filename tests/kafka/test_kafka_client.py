import json
import logging

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import ValidationError

from cronwax.devtools.kafka_broker import PASSWORD, USER
from dataflow.connectors import kafka_client
from dataflow.connectors.kafka_client import Kafka, KafkaStartError, patiently
from dataflow.connectors.kafka_sinks import OccurrencesSink
from dataflow.connectors.kafka_source import KafkaSource
from dataflow.settings import Settings
from dataflow.stream.items import Message
from tests.kafka.topics import read

NOBODY = "127.0.0.1:1"


def settings(**changes):
    return Settings(source="kafka", kafka_bootstrap_servers=NOBODY, **changes)


def refusal(capsys, make):
    """The one line with which something cannot start."""
    with pytest.raises(KafkaStartError) as error:
        make()
    line = str(error.value)
    assert "\n" not in line
    return f"cronwax: {line}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("acks", "1"),
        ("auto.offset.reset", "earliest"),
        ("bootstrap.servers", "elsewhere:9092"),
        ("enable.auto.commit", True),
        ("enable.idempotence", "false"),
        ("group.id", "mine"),
        ("max.in.flight", 20),
        ("message.timeout.ms", 1),
        ("partitioner", "random"),
        ("request.required.acks", 0),
        ("transactional.id", "mine"),
    ],
)
def test_options_that_would_break_a_promise_are_refused(capsys, option, value):
    line = refusal(capsys, lambda: Kafka(settings(kafka_config={option: value})))
    assert line.startswith(f"cronwax: CRONWAX_KAFKA_CONFIG: {option} can")


def test_options_that_say_what_holds_anyway_are_accepted():
    Kafka(settings(kafka_config={"acks": -1, "enable.idempotence": True, "enable.auto.commit": "false"}))


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}])
def test_an_option_must_be_a_plain_value(capsys, value):
    line = refusal(capsys, lambda: Kafka(settings(kafka_config={"sasl.password": value})))
    assert "sasl.password: must be a text, a number, true or false" in line


def test_an_unknown_option_is_named(capsys):
    kafka = Kafka(settings(kafka_config={"sasl.pasword": "x"}))
    assert "sasl.pasword" in refusal(capsys, lambda: kafka.partitions("any"))


@pytest.mark.parametrize("option", ["security.protocol", "ssl.key.pem", "no.such.option"])
def test_a_wrong_value_is_never_shown(capsys, option):
    options = {"security.protocol": "ssl", option: "hunter2"}
    line = refusal(capsys, lambda: Kafka(settings(kafka_config=options)).partitions("any"))
    assert "hunter2" not in line
    assert option in line


def test_the_file_wins_over_the_setting(capsys, tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"security.protocol": "plaintext"}))
    kafka = Kafka(settings(kafka_config={"security.protocol": "nonsense"}, kafka_config_file=path))
    kafka.admin(kafka.reports())
    path.write_text(json.dumps({"security.protocol": "nonsense"}))
    kafka = Kafka(settings(kafka_config={"security.protocol": "plaintext"}, kafka_config_file=path))
    assert "security.protocol" in refusal(capsys, lambda: kafka.admin(kafka.reports()))


@pytest.mark.parametrize("content", [None, "hunter2", '["hunter2"]', '{"sasl.password": ["hunter2"]}'])
def test_a_file_that_is_no_object_of_options_is_refused(capsys, tmp_path, content):
    path = tmp_path / "secrets.json"
    if content is not None:
        path.write_text(content)
    line = refusal(capsys, lambda: Kafka(settings(kafka_config_file=path)))
    assert "CRONWAX_KAFKA_CONFIG" in line
    assert "hunter2" not in line


def test_a_wrong_address_ends_with_one_line(capsys):
    line = refusal(capsys, lambda: Kafka(settings()).partitions("any", patience_seconds=0.5))
    assert f"Kafka at {NOBODY} does not answer" in line
    assert "Connection refused" in line


@pytest.mark.kafka
def test_a_missing_topic_ends_with_one_line_that_names_it(broker, settings_for, capsys):
    given = settings_for(broker, checkins_topic="no-such-topic")
    line = refusal(capsys, lambda: KafkaSource(given, lambda: False))
    assert "no topic no-such-topic" in line
    given = settings_for(broker, occurrences_topic="no-such-topic-either")
    assert "no-such-topic-either" in refusal(capsys, lambda: OccurrencesSink(given))


@pytest.mark.kafka
def test_a_refused_login_ends_with_one_line_without_the_password(own_broker, settings_for, capsys):
    options = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": USER}
    given = settings_for(
        own_broker,
        kafka_bootstrap_servers=own_broker.login_bootstrap,
        kafka_config={**options, "sasl.password": "hunter2"},
    )
    line = refusal(capsys, lambda: KafkaSource(given, lambda: False))
    assert f"Kafka at {own_broker.login_bootstrap} refuses the connection" in line
    assert "hunter2" not in line


@pytest.mark.kafka
def test_a_login_from_a_file_and_compression_serve_both_ends(own_broker, settings_for, tmp_path, caplog):
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"sasl.username": USER, "sasl.password": PASSWORD}))
    given = settings_for(
        own_broker,
        kafka_bootstrap_servers=own_broker.login_bootstrap,
        kafka_config={
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "PLAIN",
            "compression.type": "zstd",
        },
        kafka_config_file=path,
    )
    with caplog.at_level(logging.DEBUG):
        assert len(KafkaSource(given, lambda: False).origins) == 4
        part = OccurrencesSink(given).build_part("output", "0", None)
        part.write_batch([Message("1", "key", b"{}")])
        part.snapshot()
    assert [found.value() for found in read(own_broker.bootstrap, given.occurrences_topic)] == [b"{}"]
    assert PASSWORD not in caplog.text
    assert "compression.type" not in caplog.text


def test_what_the_client_repeats_is_logged_once_a_minute_and_without_secrets(caplog):
    reports = Kafka(settings(kafka_config={"sasl.password": "hunter2"})).reports()
    for number in range(50):
        reports.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#1", f"hunter2 refused ({number})")
    reports.log(logging.ERROR, "%s [%s] %s", "ERROR", "rdkafka#1", "all down")
    assert [record.getMessage() for record in caplog.records] == [
        "FAIL [rdkafka#1] *** refused (0)",
        "ERROR [rdkafka#1] all down",
    ]


def test_short_secrets_are_words_and_long_ones_are_found_anywhere():
    reports = Kafka(settings(kafka_config={"sasl.username": "u", "sasl.password": "hunter2"})).reports()
    assert reports.redact("producer u said 'hunter2x', u!") == "producer *** said '***x', ***!"


def test_two_roles_cannot_share_a_topic():
    with pytest.raises(ValidationError, match=r"CRONWAX_CHECKINS_TOPIC, .* must be four different topics"):
        settings(occurrences_topic="ingest-monitors")


@pytest.mark.parametrize(
    ("code", "knows_partition", "is_waited_for"),
    [
        (KafkaError.LEADER_NOT_AVAILABLE, False, True),
        (KafkaError._UNKNOWN_PARTITION, True, True),  # of a broker that has just started
        (KafkaError._UNKNOWN_PARTITION, False, False),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True, False),
    ],
)
def test_what_a_broker_that_has_just_started_says_is_waited_for(
    monkeypatch, code, knows_partition, is_waited_for
):
    monkeypatch.setattr(kafka_client, "RETRY_SECONDS", 0)
    answers = [KafkaException(KafkaError(code)), 7]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    if is_waited_for:
        assert patiently(ask, 60, knows_partition) == 7
    else:
        with pytest.raises(KafkaException):
            patiently(ask, 60, knows_partition)
