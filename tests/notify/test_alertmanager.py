"""Against a real Alertmanager. Where none can be had, in CI that is a failure; its API's schema is checked everywhere
(`test_targets`)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cronwax.notify.targets.base import RefusedError
from tests.notify.alertmanager_server import Alertmanager, NoAlertmanagerError
from tests.notify.messages import failure, recovery
from tests.notify.places import Place
from tests.notify.sending import planned, target

pytestmark = pytest.mark.process


@pytest.fixture
def alertmanager(tmp_path) -> Iterator[Alertmanager]:
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    try:
        found = Alertmanager(folder)
    except NoAlertmanagerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a real Alertmanager: {error}")
        pytest.skip(f"needs an Alertmanager: {error}")
    yield found
    found.close()


def test_an_alert_fires_as_long_as_the_incident_is_open(tmp_path, alertmanager: Alertmanager):
    config = target(tmp_path, type="alertmanager", url=alertmanager.url, labels={"site": "vienna"})
    begins, ends = planned(config)
    sender = config.build()
    assert sender.send(begins, time.time()) == "200"
    [alert] = alertmanager.until(1)
    assert alert["status"]["state"] == "active"
    assert alert["labels"] == {
        "alertname": "CronwaxFailure",
        "project": "1",
        "monitor": "job-0",
        "environment": "production",
        "site": "vienna",
    }
    assert alert["startsAt"] == "2025-03-03T00:00:00.000Z"
    assert alert["generatorURL"] == "https://ops.example/1/job-0"
    assert "failed" in alert["annotations"]["summary"]
    before = alert["endsAt"]
    sender.refresh([begins], time.time() + 5)
    [alert] = alertmanager.until(1)
    assert alert["endsAt"] > before, "sent again, it lasts longer; it is the same alert"
    assert sender.send(ends, time.time()) == "200"
    assert alertmanager.until(0) == []
    sender.close()


def test_an_alert_that_is_not_sent_again_ends_by_itself(tmp_path, alertmanager: Alertmanager):
    config = target(tmp_path, type="alertmanager", url=alertmanager.url)
    begins, _ = planned(config)
    sender = config.build()
    sender.send(begins, time.time() - 300 + 3)  # as one that was sent nearly five minutes ago
    alertmanager.until(1)
    alertmanager.until(0)
    sender.close()


def test_many_are_taken_and_each_is_an_alert_of_its_own(tmp_path, alertmanager: Alertmanager):
    config = target(tmp_path, type="alertmanager", url=alertmanager.url)
    openings = [each for each in planned(config, count=450) if each.does == "opens"]
    config.build().refresh(openings, time.time())
    assert len({each["fingerprint"] for each in alertmanager.until(450)}) == 450


def test_what_it_refuses_is_refused_with_its_reason(tmp_path, alertmanager: Alertmanager):
    config = target(tmp_path, type="alertmanager", url=alertmanager.url)
    begins, _ = planned(config)
    config.labels["monitor"] = ""  # type: ignore[attr-defined]
    config.labels["not a name"] = "x"  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match="400"):
        config.build().send(begins, time.time())


def test_the_notifier_resolves_what_it_has_fired(place: Place, alertmanager: Alertmanager):
    place.routes.write_text(
        f'[targets.am]\ntype = "alertmanager"\nurl = "{alertmanager.url}"\n[[routes]]\ntargets = ["am"]\n'
    )
    place.happen([failure("nightly")])
    process = place.start()
    [alert] = alertmanager.until(1)
    assert alert["labels"]["monitor"] == "nightly"
    assert datetime.fromisoformat(alert["endsAt"]) > datetime.now(UTC)
    place.happen([recovery("nightly")])
    alertmanager.until(0)
    assert place.stop(process) == 0
