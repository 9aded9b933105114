import os
import re
from contextlib import closing

import duckdb
import pytest
from prometheus_client import REGISTRY

from cronwax.notify.counts import Counts
from dataflow.operations import metrics
from dataflow.operations.vitals import Vitals
from dataflow.settings import Settings
from dataflow.stream.items import DeadLetter, Records
from state.schema.catalogue import TABLES
from state.write.writer import StateWriter
from tests.processes import PROJECT


def row(table, **values):
    """A row with these values, and None in all other columns."""
    kind = TABLES[table].row
    return kind(**{name: values.get(name) for name in kind.__struct_fields__})


@pytest.fixture
def counted():
    """By how much a metric has grown since the test began."""
    before = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            before[sample.name, tuple(sorted(sample.labels.items()))] = sample.value

    def grown(name, **labels):
        now = REGISTRY.get_sample_value(name, labels) or 0
        return now - before.get((name, tuple(sorted(labels.items()))), 0)

    return grown


def test_check_ins_are_counted_by_the_status_they_came_to(counted):
    statuses = ["ok", "missed", "ok"]
    metrics.count_records(
        [
            Records(0, {"check_ins": [row("check_ins", project_id=1, status=status) for status in statuses]}),
            Records(1, {"check_ins": [row("check_ins", status="ok")]}, deletes={"check_ins": [(1, "x")]}),
        ]
    )
    assert counted("cronwax_check_ins_total", status="ok") == 3
    assert counted("cronwax_check_ins_total", status="missed") == 1


def test_errors_are_counted_by_type(counted):
    types = [["MONITOR_INVALID_CONFIG", "MONITOR_NOT_FOUND"], ["MONITOR_NOT_FOUND"]]
    rows = [row("processing_errors", error_types=kinds) for kinds in types]
    metrics.count_records([Records(0, {"processing_errors": rows})])
    assert counted("cronwax_processing_errors_total", type="MONITOR_NOT_FOUND") == 2
    assert counted("cronwax_processing_errors_total", type="MONITOR_INVALID_CONFIG") == 1


def test_incidents_are_counted_when_they_open_and_when_they_are_resolved(counted):
    rows = [
        row("incidents", incident_id="a"),
        row("incidents", incident_id="b"),
        row("incidents", incident_id="a", resolving_check_in_id=bytes(16), resolving_timestamp=5),
    ]
    metrics.count_records([Records(0, {"incidents": rows}, deletes={"incidents": [(1, "deleted")]})])
    assert counted("cronwax_incidents_opened_total") == 2
    assert counted("cronwax_incidents_resolved_total") == 1


def test_messages_are_counted_by_payload_type_and_dead_letters_too(counted):
    kinds = ["occurrence", "status_change", "occurrence"]
    rows = [row("status_changes", payload_type=kind) for kind in kinds]
    metrics.count_records([Records(0, {"status_changes": rows})])
    metrics.count_dead_letters([DeadLetter("t", 0, 0, "", b""), DeadLetter("t", 0, 1, "", b"")])
    assert counted("cronwax_messages_total", payload_type="occurrence") == 2
    assert counted("cronwax_messages_total", payload_type="status_change") == 1
    assert counted("cronwax_dead_letters_total") == 2


@pytest.fixture
def no_shards(monkeypatch):
    """No shard of a test before has said how many incidents are open in it."""
    monkeypatch.setattr(metrics, "_open_incidents", {})


def test_open_incidents_are_those_in_the_tables(no_shards):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE incidents (resolving_timestamp TIMESTAMPTZ)")
        connection.execute("INSERT INTO incidents VALUES (NULL), ('2025-03-03T00:00:00Z'), (NULL)")
        metrics.count_open_incidents(connection, 0)
    assert REGISTRY.get_sample_value("cronwax_incidents_open") == 2


def test_what_earlier_processes_left_is_shown_from_the_start(tmp_path, no_shards):
    snapshot = tmp_path / "monitors.duckdb"
    snapshot.write_bytes(b"published")
    os.utime(snapshot, (1_740_960_300, 1_740_960_300))
    metrics.SYSTEM_INCIDENT.set(0)
    with closing(StateWriter.open(tmp_path)) as writer:
        writer.write(
            {
                "incidents": [row("incidents", incident_id="a")],
                "system_incident_spans": [row("system_incident_spans", system_incident_id="a")],
            }
        )
        writer.commit()
        metrics.show_what_was_left(writer.connection, 0, snapshot)
    for name, shown in (
        ("cronwax_incidents_open", 1),
        ("cronwax_system_incident", 1),
        ("cronwax_published_bytes", len(b"published")),
        ("cronwax_published_timestamp_seconds", 1_740_960_300),
    ):
        assert REGISTRY.get_sample_value(name) == shown


def test_what_one_shard_does_not_know_of_leaves_what_another_one_showed(tmp_path):
    metrics.SYSTEM_INCIDENT.set(1)
    metrics.PUBLISHED_TIME.set(5)
    with closing(StateWriter.open(tmp_path, 1, 2)) as writer:
        metrics.show_what_was_left(writer.connection, 1, tmp_path / "monitors.duckdb")
    assert REGISTRY.get_sample_value("cronwax_system_incident") == 1
    assert REGISTRY.get_sample_value("cronwax_published_timestamp_seconds") == 5


def test_a_system_incident_is_shown_while_it_goes_on():
    for ended_at, shown in ((None, 1), (5, 0)):
        rows = [row("system_incident_spans", system_incident_id="a", ended_at=ended_at)]
        metrics.count_records([Records(0, {"system_incident_spans": rows})])
        assert REGISTRY.get_sample_value("cronwax_system_incident") == shown


def metrics_named_in(file):
    text = (PROJECT / "docs" / file).read_text()
    return set(re.findall(r"cronwax_[a-z_]+", text))


def shown_metrics():
    """All metrics as a scrape names them, the histograms without their parts."""
    vitals = Vitals(Settings(source="kafka", kafka_bootstrap_servers="none:9092"))
    families = [each for each in REGISTRY.collect() if each.name.startswith("cronwax_")]
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in [*families, *vitals.collect()]
    }


@pytest.mark.process
def test_the_docs_name_each_metric_and_no_other():
    assert metrics_named_in("operations.md") == shown_metrics()


@pytest.mark.process
def test_alerts_are_about_metrics_that_there_are():
    named = {re.sub(r"_(sum|count|bucket)$", "", name) for name in metrics_named_in("alerts.yml")}
    notifier = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Counts(lambda: 0, list, lambda: 0).collect()
    }
    assert named
    assert named <= shown_metrics() | notifier
    assert notifier == {name for name in metrics_named_in("notify.md") if name.startswith("cronwax_notify_")}
