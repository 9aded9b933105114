"""Sending what the ledger holds: a thread for each target, so that one that is slow or dead delays no other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from cronwax.acknowledge_links import Subject, link_of
from cronwax.notify.backoff import Backoff
from cronwax.notify.counts import Counts
from cronwax.notify.ledger import Job, Ledger, LedgerError, Result
from cronwax.notify.notification import Notification
from cronwax.notify.routes_file import RoutesTables
from cronwax.notify.secret_values import SecretError
from cronwax.notify.targets.base import DeliveryError, RefusedError, RetryError, Sender, TargetConfig
from dataflow.process.log import log, warn

ATTEMPT_SECONDS = 45.0
"""An attempt that takes longer counts as failed, whatever it waits for."""
IDLE_SECONDS = 1.0
"""A target whose queue is empty is looked at again after this; earlier when something is planned."""
HOUR_MS = 3_600_000


class Worker(threading.Thread):
    """Sends to one target until `end`: the oldest first, those of one lane in their order.

    A failure delays what failed by its own backoff, and the whole target by how often it has failed in a row: a message
    that fails by itself delays the others little.
    """

    def __init__(
        self,
        name: str,
        config: TargetConfig,
        tables: RoutesTables,
        ledger: Ledger,
        counts: Counts,
        failed: Callable[[Exception], None],
        before: Worker | None = None,
        now_s: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        link_key: Callable[[], bytes] | None = None,
    ) -> None:
        """`failed` is called, in this thread, when it cannot go on: the ledger cannot be used any more. `before`: the
        worker that had the target until now; it comes to its end first."""
        super().__init__(name=f"target-{name}", daemon=True)
        self._target = name
        self._config = config
        self._retry_ms = round(tables.retry_hours * HOUR_MS)
        self._backoff = Backoff(tables.retry_first, tables.retry_longest)
        self._ledger = ledger
        self._counts = counts
        self._failed = failed
        self._before = before
        self._now_s = now_s
        self._chance = chance
        self._acknowledge = tables.acknowledge
        self._link_key = link_key
        """The key of links that acknowledge; None: there are none."""
        self._sender: Sender | None = None
        self._failures = 0
        """In a row, of whatever was sent."""
        self._ended = threading.Event()
        self._news = threading.Event()
        self._refreshed = float("-inf")

    def wake(self) -> None:
        """Something was planned."""
        self._news.set()

    def end(self) -> None:
        """Begin no further attempt."""
        self._ended.set()
        self._news.set()

    def run(self) -> None:
        """Until `end`."""
        if self._before is not None:
            self._before.join()
            self._before = None
        try:
            self._work()
        except Exception as error:
            # Whatever it is, the process must not go on with a target that nobody serves. When it is ending anyway, the
            # ledger may be closed already.
            if not (self._ended.is_set() and isinstance(error, LedgerError)):
                self._failed(error)
        finally:
            self._drop_sender()

    def _work(self) -> None:
        done: tuple[Job, Result] | None = None
        while True:
            self._refresh()
            job = self._ledger.advance(self._target, done, self._now_ms(), begin=not self._ended.is_set())
            done = None
            if job is not None:
                done = job, self._attempt(job)
                pause = self._pause_s
            elif self._ended.is_set():
                return
            else:
                pause = IDLE_SECONDS
                due_ms = self._ledger.next_due_ms(self._target)
                if due_ms is not None:
                    # What is due already waits for another one of its lane.
                    pause = min(max((due_ms - self._now_ms()) / 1000, 0.05), IDLE_SECONDS)
                if self._news.wait(pause):
                    self._news.clear()
                continue
            if pause and done is not None:
                self._ledger.advance(self._target, done, self._now_ms(), begin=False)
                done = None
                self._ended.wait(pause)

    def _attempt(self, job: Job) -> Result:
        """Send once, and judge what came of it."""
        self._pause_s = 0.0
        try:
            answer = _within(ATTEMPT_SECONDS, lambda: self._send(job))
        except RefusedError as error:
            self._failures = 0  # it answers
            self._counts.ended(self._target, "dead")
            self._warn_dead(job, str(error))
            return Result("refused", str(error))
        except DeliveryError as error:
            return self._take_failure(job, error)
        if self._failures:
            log("target_well", target=self._target)
        self._failures = 0
        self._counts.ended(self._target, "sent")
        self._counts.well(self._target)
        return Result("sent", answer)

    def _take_failure(self, job: Job, error: DeliveryError) -> Result:
        self._drop_sender()
        self._failures += 1
        if self._failures == 1:
            warn(
                "target_fails", target=self._target, text=f"target {self._target}: {error}; it is tried again"
            )
        self._counts.failed(self._target)
        asked = error.after_seconds if isinstance(error, RetryError) else None
        self._pause_s = self._backoff.pause(self._failures, self._chance, asked)
        now_ms = self._now_ms()
        if now_ms >= job.notification.created_ms + self._retry_ms:
            self._counts.ended(self._target, "dead")
            self._warn_dead(job, str(error))
            return Result("expired", str(error))
        own_s = self._backoff.pause(job.number, self._chance, asked)
        return Result("failed", str(error), now_ms + round(own_s * 1000))

    def _send(self, job: Job) -> str:
        return self._connected().send(self._with_link(job.notification), self._now_s())

    def _with_link(self, notification: Notification) -> Notification:
        """With the link that acknowledges it, where there is somebody to be asked and an intake that takes it."""
        event = notification.event
        if (
            self._acknowledge is None
            or self._link_key is None
            or event is None
            or event.project_id is None
            or not event.incident_id
            or notification.does not in ("opens", "reminds")
        ):
            return notification
        subject = Subject(event.project_id, event.slug, event.environment, event.incident_id)
        try:
            link = link_of(self._acknowledge, self._link_key(), subject)
        except (OSError, ValueError) as error:  # the notification matters more
            warn("no_acknowledge_link", text=f"no link to acknowledge: {error}")
            return notification
        return replace(notification, acknowledge=link)

    def _refresh(self) -> None:
        """Say again what is open, where the target needs that."""
        every_s = self._config.refresh_seconds
        now_s = self._now_s()
        if every_s is None or now_s - self._refreshed < every_s or self._ended.is_set():
            return
        self._refreshed = now_s
        open_ones = self._ledger.still_open(self._target)
        if not open_ones:
            return
        try:
            _within(ATTEMPT_SECONDS, lambda: self._connected().refresh(open_ones, self._now_s()))
        except DeliveryError as error:
            self._drop_sender()
            self._counts.failed(self._target)
            warn(
                "target_fails", target=self._target, text=f"target {self._target}: {error}; it is tried again"
            )

    def _connected(self) -> Sender:
        """What sends; made again after each failure, as its secrets may have changed."""
        if self._sender is None:
            try:
                self._sender = self._config.build()
            except SecretError as error:
                raise RetryError(str(error)) from None
        return self._sender

    def _drop_sender(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def _warn_dead(self, job: Job, reason: str) -> None:
        warn(
            "notification_dead",
            target=self._target,
            key=job.notification.key,
            text=f"target {self._target}: given up after {job.number} attempts: {job.notification.title}: {reason}",
        )

    def _now_ms(self) -> int:
        return round(self._now_s() * 1000)

    _pause_s = 0.0


def _within(seconds: float, call: Callable[[], str | None]) -> str:
    """What a call returns, in a thread of its own: one that takes too long is left to itself. Raises what it raises,
    and RetryError when it takes too long, or fails in a way that nobody foresaw."""
    answers: list[str | None] = []
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=ask, daemon=True, name=threading.current_thread().name)
    thread.start()
    thread.join(seconds)
    if problems:
        if isinstance(problems[0], DeliveryError):
            raise problems[0]
        raise RetryError(f"it cannot be sent ({type(problems[0]).__name__})")
    if not answers:
        raise RetryError(f"no answer within {seconds:g} s")
    return answers[0] or ""


class Delivery:
    """The workers of all targets."""

    def __init__(
        self,
        ledger: Ledger,
        counts: Counts,
        failed: Callable[[Exception], None],
        link_key: Callable[[], bytes] | None = None,
    ) -> None:
        self._ledger = ledger
        self._counts = counts
        self._failed = failed
        self._link_key = link_key
        self._workers: dict[str, Worker] = {}
        self._tables: RoutesTables | None = None

    def follow(self, tables: RoutesTables) -> None:
        """Have a worker for each target of these tables, and none for others."""
        before = self._tables
        self._tables = tables
        replaced: dict[str, Worker] = {}
        for name in list(self._workers):
            config = tables.targets.get(name)
            is_same = before is not None and config == before.targets.get(name)
            if config is None or not is_same or _shared(before) != _shared(tables):
                old = replaced[name] = self._workers.pop(name)
                old.end()
        for name, config in tables.targets.items():
            if name not in self._workers:
                worker = Worker(
                    name,
                    config,
                    tables,
                    self._ledger,
                    self._counts,
                    self._failed,
                    replaced.get(name),
                    link_key=self._link_key,
                )
                self._workers[name] = worker
                worker.start()

    def wake(self) -> None:
        """Something was planned."""
        for worker in self._workers.values():
            worker.wake()

    def end(self, seconds: float) -> bool:
        """Let attempts that have begun come to their end within so many seconds; whether all did."""
        for worker in self._workers.values():
            worker.end()
        until = time.monotonic() + seconds
        for worker in self._workers.values():
            worker.join(max(0.0, until - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers.values())


def _shared(tables: RoutesTables | None) -> tuple[object, ...] | None:
    """What all workers go by."""
    if tables is None:
        return None
    return tables.retry_hours, tables.retry_first, tables.retry_longest, tables.acknowledge
