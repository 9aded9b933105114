"""The notifier as a process: reads, plans, and lets workers send, until it is stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
from prometheus_client import CollectorRegistry, start_http_server

from cronwax.acknowledge_links import link_key
from cronwax.notify.counts import Counts, Waiting
from cronwax.notify.delivery import Delivery
from cronwax.notify.events import Event, UnreadableMessageError, read_event
from cronwax.notify.ledger import DAY_MS, FOLDER, Ledger, LedgerError
from cronwax.notify.planning import Planner
from cronwax.notify.routes_file import RoutesFile
from cronwax.notify.settings import NotifySettings, routes_path
from cronwax.notify.silences import GENERAL_ORGANIZATION, Silences
from cronwax.notify.snapshot_facts import SnapshotFacts
from cronwax.notify.sources.base import Batch, Source
from cronwax.notify.sources.kafka import KafkaOccurrences
from cronwax.notify.sources.occurrences_file import OccurrencesFile
from dataflow.process.log import log, warn
from dataflow.process.wall_clock import wall_clock_us
from dataflow.settings import Settings

BATCH = 500
WAIT_SECONDS = 0.2
TICK_MS = 500
"""The pause between two looks at what is due by itself: digests, reminders."""
STOP_SECONDS = 4.0
"""How long attempts that have begun may take when the stop comes. What is cut off is sent again, under its key."""
OWNER_SECONDS = 8.0
"""How long the owner of a monitor that is new is waited for, where routes ask for owners."""
GONE_SECONDS = 30.0
"""The pause between two looks for incidents whose monitor was deleted."""
SWEEP_SECONDS = 600.0
LOCK = "notify.lock"


class NotifyError(Exception):
    """The notifier cannot start, or go on; the text says why, in one line."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Notifier:
    """Reads messages, plans what is sent, and keeps both in the ledger, each batch in one transaction."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        routes: RoutesFile,
        facts: SnapshotFacts,
        since_us: int | None = None,
        now_ms: Callable[[], int] = lambda: wall_clock_us() // 1_000,
        organization_of: Callable[[int], int] = lambda project_id: GENERAL_ORGANIZATION,
        link_key: Callable[[], bytes] | None = None,
    ) -> None:
        """`since_us`: at a first start, from when on messages count as if they came now; None: of what is past
        only what is still open is notified. Raises LedgerError."""
        self._source = source
        self._ledger = ledger
        self._routes = routes
        self._facts = facts
        self._since_us = since_us
        self._now_ms = now_ms
        self._organization_of = organization_of
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._planner = self._new_planner()
        self.counts = Counts(now_ms, lambda: waiting(ledger), lambda: len(self._planner.incidents))
        self._delivery = Delivery(ledger, self.counts, self._fail, link_key)
        self._ticked_ms = 0
        self._next_gone = self._next_sweep = 0.0

    def stop(self) -> None:
        """Read no more, and let what is being sent come to its end."""
        self._stopping.set()

    def run(self) -> bool:
        """Until `stop`; whether all attempts that had begun came to their end. Raises LedgerError, FlowError."""
        goes_on = self._source.start(self._ledger.positions())
        if goes_on and self._since_us is not None:
            raise NotifyError(
                "--since is for a first start: the ledger says already where reading goes on", 2
            )
        if not goes_on:
            self._catch_up(None)
        self._follow_routes()
        while not self._stopping.is_set():
            self._turn()
        ended = self._delivery.end(STOP_SECONDS)
        if self._failure is not None:
            raise self._failure
        return ended

    def _turn(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._routes.has_changed():
            self._planner.policy = self._routes.tables.policy()
            self._follow_routes()
        batch = self._source.read(BATCH, WAIT_SECONDS)
        if batch.has_begun_again:
            warn(
                "notify_input",
                text="the messages are others than were read before: they are read from the beginning",
            )
            self._catch_up(batch)
            return
        self._take(batch)
        self._look_around()

    def _take(self, batch: Batch) -> None:
        events = self._events(batch.messages)
        now_ms = self._now_ms()
        if now_ms - self._ticked_ms >= TICK_MS:
            self._ticked_ms = now_ms
            self._planner.tick(now_ms)
        for event in events:
            self._planner.take(event, now_ms)
        self._commit(batch.positions, now_ms)

    def _catch_up(self, batch: Batch | None) -> None:
        """Read what is there already, and tell only of what is open at its end, all in one transaction."""
        count, is_caught_up = 0, False
        began = time.monotonic()
        while not is_caught_up and not self._stopping.is_set():
            if batch is None:
                batch = self._source.read(BATCH * 10, WAIT_SECONDS)
            now_ms = self._now_ms()
            for event in self._events(batch.messages, is_patient=False):
                is_past = self._since_us is None or event.at_us is None or event.at_us < self._since_us
                self._planner.take(event, now_ms, is_past=is_past)
            count += len(batch.messages)
            is_caught_up = batch.is_caught_up
            batch = None
        if self._stopping.is_set():
            return  # nothing of it is stored: the next start does it again
        now_ms = self._now_ms()
        self._end_gone(now_ms)
        if self._since_us is None:
            self._planner.tell_open(now_ms)
        self._since_us = None
        # Also where nothing has been read yet: that the first start is over is known from it.
        self._commit(self._source.positions(), now_ms)
        log(
            "notify_caught_up",
            messages=count,
            open=len(self._planner.incidents),
            seconds=round(time.monotonic() - began, 1),
        )

    def _events(self, messages: list[bytes], is_patient: bool = True) -> list[Event]:
        until = time.monotonic() + (OWNER_SECONDS if is_patient else 0.0)
        events = []
        for message in messages:
            try:
                event = read_event(message)
            except UnreadableMessageError as error:
                self.counts.unreadable += 1
                warn("notify_unreadable", text=f"{error}; it is passed over")
                continue
            if event is not None:
                events.append(self._with_owner(event, until))
        return events

    def _with_owner(self, event: Event, until: float) -> Event:
        if event.project_id is None or not event.slug:
            return event
        ask_owner = self._planner.policy.routes.ask_owner or self._planner.silences.ask_owner
        if ask_owner and self._facts.is_there:
            # A monitor that is new is in the next snapshot.
            while not self._facts.knows(event.project_id, event.slug) and time.monotonic() < until:
                if self._stopping.wait(WAIT_SECONDS):
                    break
        owner = self._facts.owner(event.project_id, event.slug)
        return event if owner is None else msgspec.structs.replace(event, owner=owner)

    def _commit(self, positions: dict[str, str], now_ms: int) -> None:
        plan = self._planner.take_plan()
        if not plan and not positions:
            return
        self._ledger.commit(plan, positions, now_ms)
        if plan.notifications:
            self._delivery.wake()

    def _look_around(self) -> None:
        """What is looked at now and then."""
        now = time.monotonic()
        if now >= self._next_gone:
            self._next_gone = now + GONE_SECONDS
            self._end_gone(self._now_ms())
            self._commit({}, self._now_ms())
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            now_ms, tables = self._now_ms(), self._routes.tables
            before_ms = now_ms - round(tables.retry_hours * 3_600_000)
            for target, count in self._ledger.expire(set(tables.targets), before_ms, now_ms):
                warn(
                    "notification_dead",
                    target=target,
                    text=f"{count} notifications are given up: the routes file has no target {target}",
                )
            self._ledger.prune(now_ms - round(tables.keep_days * DAY_MS))

    def _end_gone(self, now_ms: int) -> None:
        for key in self._facts.gone([incident.event for incident in self._planner.incidents.values()]):
            self._planner.end(key, "the monitor or its environment was deleted", now_ms)

    def _follow_routes(self) -> None:
        tables = self._routes.tables
        self.counts.know(set(tables.targets))
        self._delivery.follow(tables)

    def _new_planner(self) -> Planner:
        return Planner(
            self._routes.tables.policy(),
            self._ledger.open_incidents(),
            self._ledger.windows(),
            was_ended=self._ledger.was_ended,
            silences=Silences(self._ledger.silences(), self._organization_of),
            usual_ms=self._facts.usual_ms,
        )

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._stopping.set()


def waiting(ledger: Ledger) -> list[Waiting]:
    """What waits, by target."""
    rows = ledger.query(
        "SELECT target, count(*), min(created_ms) FROM outbox WHERE state = 'waiting' GROUP BY target ORDER BY target",
        {},
    )
    return [Waiting(*cast("tuple[str, int, int]", row)) for row in rows]


def run(settings: Settings, own: NotifySettings, since_us: int | None = None) -> None:
    """Notify until SIGTERM or SIGINT. Raises NotifyError, and FlowError where Kafka cannot be used."""
    path = routes_path(settings, own)
    routes = RoutesFile(path)
    folder = settings.data_dir / FOLDER
    lock = _lock(folder)
    try:
        ledger = Ledger(folder)
        try:
            facts = SnapshotFacts(settings.data_dir)
            notifier = Notifier(
                _source(settings),
                ledger,
                routes,
                facts,
                since_us,
                organization_of=_organizations(settings),
                link_key=partial(link_key, settings.data_dir),
            )
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: notifier.stop())
            _show_metrics(notifier.counts, own.notify_metrics_port)
            log("notify_start", routes=path, targets=len(routes.tables.targets), ledger=folder)
            notifier.run()
            log("notify_stop")
        finally:
            ledger.close()
    except LedgerError as error:
        raise NotifyError(str(error), error.status) from None
    finally:
        os.close(lock)


def _source(settings: Settings) -> Source:
    if settings.source == "kafka":
        return KafkaOccurrences(settings)
    return OccurrencesFile(settings.data_dir / "occurrences.jsonl")


def _organizations(settings: Settings) -> Callable[[int], int]:
    """Which organization a project belongs to, as the flow reads it. Raises SettingsError."""
    known = settings.projects()
    return lambda project_id: known.get(project_id, GENERAL_ORGANIZATION)


def _lock(folder: Path) -> int:
    """Keep another notifier from the ledger. Raises NotifyError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NotifyError(f"{error.filename or folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise NotifyError(f"{folder}: another notifier runs on it") from None
    return descriptor


def _show_metrics(counts: Counts, port: int | None) -> None:
    if port is None:
        return
    registry = CollectorRegistry()
    registry.register(counts)
    try:
        start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise NotifyError(f"CRONWAX_NOTIFY_METRICS_PORT: {port}: {error.strerror}") from None
