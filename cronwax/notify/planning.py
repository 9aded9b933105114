"""What is to be sent: from events, with times given, to notifications for targets. Pure: no file, clock or network.

opens   --> one notification for each target that a route names; further failures of it add nothing
notes   --> one for each target that a route names
ends    --> one for each target that was notified of the opening
time    --> reminders, digests (`storms`), and what was held by a silence that is over
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cronwax.notify import texts
from cronwax.notify.events import Event
from cronwax.notify.notification import Named, Notification, key_of
from cronwax.notify.plan import Incident, Notified, Plan
from cronwax.notify.policy import Policy
from cronwax.notify.routes import Choice, Subject
from cronwax.notify.silences import Silences
from cronwax.notify.storms import Category, Waiting, Window

NAMED_IN_DIGEST = 500
"""So many members of a digest are in it by their names; it counts the others."""
OPENINGS = frozenset(("failure", "flapping"))
"""The kinds that `recovery` ends."""


class Planner:
    """Knows what is open and who was notified of it. Times are ms since the epoch and do not go back."""

    def __init__(
        self,
        policy: Policy,
        incidents: Mapping[str, Incident] | None = None,
        windows: Mapping[tuple[str, Category], Window] | None = None,
        *,
        was_ended: Callable[[str], bool] = lambda key: False,
        silences: Silences | None = None,
        usual_ms: Callable[[Event], int | None] = lambda event: None,
    ) -> None:
        """`was_ended` says of a key whether that was open and is over: a repeated message does not open it again."""
        self.policy = policy
        self.incidents = dict(incidents or {})
        self._windows = dict(windows or {})
        self._was_ended = was_ended
        self.silences = silences or Silences()
        self._usual_ms = usual_ms
        self._held = {key for key, incident in self.incidents.items() if incident.is_held}
        self._plan = Plan()

    def take_plan(self) -> Plan:
        """What has been planned since the last call."""
        plan, self._plan = self._plan, Plan()
        return plan

    def take(self, event: Event, now_ms: int, *, is_past: bool = False) -> None:
        """An event, in the order in which the flow sent them. One of the past is only noted: nobody is notified that
        something opened, until `tell_open`."""
        if event.does == "opens":
            self._opens(event, now_ms, is_past)
        elif event.does == "ends":
            self._ends(event, now_ms, is_past)
        elif event.silence is not None:
            self.silences.take(event.silence, now_ms)
            self._plan.silences.append(event.silence)
        elif event.does in ("acknowledges", "takes back"):
            self._acknowledges(event)
        elif not is_past:
            self._notes(event, now_ms)

    def tell_open(self, now_ms: int) -> None:
        """Send what is open and nobody was notified of: after what is past."""
        for incident in self.incidents.values():
            if not incident.notified:
                self._tell(incident, now_ms)

    def tick(self, now_ms: int) -> None:
        """What is due by then: digests, reminders, and what a silence held that is over."""
        for target, category in sorted(self._windows):
            self._settle(target, category, now_ms)
        for key in sorted(self._held):
            self._tell(self.incidents[key], now_ms)
        default_ms = self.policy.remind_after_ms
        if default_ms is not None or any(route.remind_after_ms for route in self.policy.routes.all()):
            for incident in self.incidents.values():
                if not incident.acknowledged_by:
                    self._remind(incident, now_ms)

    def end(self, key: str, reason: str, now_ms: int) -> None:
        """End what is open although the flow has not said so."""
        event = Event(id="", does="ends", kind="recovery", key=key, reason=reason)
        self._ends(event, now_ms, is_past=False)

    def _opens(self, event: Event, now_ms: int, is_past: bool) -> None:
        incident = self.incidents.get(event.key)
        if incident is None:
            if self._was_ended(event.key):
                return
            incident = self.incidents[event.key] = Incident(event)
            self._changed(incident)
            if not is_past:
                self._tell(incident, now_ms)
        elif event.id not in (incident.event.id, incident.newest.id if incident.newest else ""):
            incident.failures += 1
            incident.newest = event
            self._changed(incident)
            if event.kind == "flapping" and not is_past:
                self._notes(event, now_ms)

    def _acknowledges(self, event: Event) -> None:
        incident = self.incidents.get(event.key)
        if incident is not None:
            incident.acknowledged_by = event.who if event.does == "acknowledges" else ""
            self._changed(incident)

    def _tell(self, incident: Incident, now_ms: int) -> None:
        event = incident.event
        is_held = self.silences.holding(event, now_ms) is not None
        if is_held != incident.is_held:
            incident.is_held = is_held
            self._changed(incident)
        if is_held:
            self._held.add(event.key)
            return
        self._held.discard(event.key)
        for target, route in self._choose(event):
            ends = event.kind not in OPENINGS or "recovery" in route.kinds
            notified = Notified(target, route.name, now_ms, ends)
            incident.notified.append(notified)
            self._changed(incident)
            key = key_of("opens", event.key, target)
            if self._joins(target, "opens", event, key, route.name, now_ms):
                notified.waits = True
            else:
                text = texts.opening(event, self._usual_ms(event))
                self._send(target, route.name, "opens", key, key, text, now_ms, event)

    def _notes(self, event: Event, now_ms: int) -> None:
        if self.silences.holding(event, now_ms) is not None:
            return
        incident = self.incidents.get(event.key)
        notified = {each.target: each for each in incident.notified} if incident is not None else {}
        for target, route in self._choose(event):
            if not self.policy.targets[target].takes_notes:
                continue
            key = key_of("notes", event.id, target)
            thread = _thread(event.key, notified[target]) if target in notified else key
            if incident is not None and target not in notified:
                # Who hears that it flaps, or has been failing for weeks, hears of the end.
                incident.notified.append(
                    Notified(target, route.name, now_ms, "recovery" in route.kinds, thread=thread)
                )
                self._changed(incident)
            if not self._joins(target, "notes", event, key, route.name, now_ms):
                self._send(target, route.name, "notes", key, thread, texts.note(event), now_ms, event)

    def _ends(self, end: Event, now_ms: int, is_past: bool) -> None:
        incident = self.incidents.pop(end.key, None)
        if incident is None:
            return
        self._held.discard(end.key)
        self._plan.incidents.pop(end.key, None)
        self._plan.ended.add(end.key)
        self._drop_waiting(end.key)
        for notified in incident.notified:
            if notified.target not in self.policy.targets:
                continue
            if notified.waits:
                self._mark_over(notified.target, end.key)
            elif notified.ends:
                self._tell_end(incident, notified, end, now_ms)
        if is_past or incident.event.kind not in OPENINGS:
            return
        names = {notified.target for notified in incident.notified}
        for target, route in self.policy.routes.choose(Subject.of(incident.event, "recovery")):
            # A route for recoveries alone, whose target was not notified that there is something to recover from.
            if target not in names and not (route.kinds & OPENINGS) and not incident.is_held:
                self._tell_end(incident, Notified(target, route.name, now_ms), end, now_ms)

    def _tell_end(self, incident: Incident, notified: Notified, end: Event, now_ms: int) -> None:
        event, target = incident.event, notified.target
        traits = self.policy.targets[target]
        if traits.has_state and notified.thread is not None:
            self._close_digest(target, notified.route, notified.thread, now_ms)
            return
        key = key_of("ends", event.key, target)
        if traits.has_state or not self._joins(target, "ends", event, key, notified.route, now_ms):
            text = texts.ending(event, incident.newest, end)
            thread = _thread(event.key, notified)
            self._send(
                target, notified.route, "ends", key, thread, text, now_ms, event, incident.newest, end.at_us
            )

    def _close_digest(self, target: str, route: str, digest: str, now_ms: int) -> None:
        """Close a digest where that means something, once all that it stands for is over."""
        for incident in self.incidents.values():
            if any(notified.target == target and notified.thread == digest for notified in incident.notified):
                return
        text = texts.Text("All incidents of the digest are over", [], [])
        key = key_of("ends", digest, target)
        self._send(target, route, "ends", key, digest, text, now_ms, lanes=[digest])

    def _remind(self, incident: Incident, now_ms: int) -> None:
        for notified in incident.notified:
            traits = self.policy.targets.get(notified.target)
            route = self.policy.routes.named(notified.route)
            if traits is None or not traits.takes_notes or notified.waits or route is None:
                continue
            after_ms = route.remind_after_ms or self.policy.remind_after_ms
            if after_ms is None or now_ms < notified.at_ms + after_ms:
                continue
            event = incident.event
            if self.silences.holding(event, now_ms) is not None:
                continue
            notified.at_ms, notified.reminders = now_ms, notified.reminders + 1
            self._changed(incident)
            key = key_of("reminds", event.key, notified.target, notified.reminders)
            if not self._joins(notified.target, "reminds", event, key, notified.route, now_ms):
                text = texts.reminder(event, incident.newest, incident.failures, now_ms * 1_000)
                thread = _thread(event.key, notified)
                self._send(
                    notified.target,
                    notified.route,
                    "reminds",
                    key,
                    thread,
                    text,
                    now_ms,
                    event,
                    incident.newest,
                )

    def _choose(self, event: Event) -> list[Choice]:
        chosen = self.policy.routes.choose(Subject.of(event))
        return [choice for choice in chosen if choice.target in self.policy.targets]

    def _joins(
        self, target: str, category: Category, event: Event, key: str, route: str, now_ms: int
    ) -> bool:
        """Whether it waits for a digest. What is about no monitor never does."""
        if self.policy.targets[target].groups or event.project_id is None:
            return False
        self._settle(target, category, now_ms)
        window = self._windows.get((target, category))
        if window is None:
            window = self._windows[target, category] = Window(now_ms)
        self._plan.windows[target, category] = window
        if window.admit(self.policy.storm_size):
            return False
        window.waiting.append(Waiting(key, route, event.lane, event.kind, _named(event)))
        return True

    def _settle(self, target: str, category: Category, now_ms: int) -> None:
        """Send the digests of minutes that have passed."""
        while (window := self._windows.get((target, category))) is not None and window.is_over(now_ms):
            following = window.after(self.policy.storm_size)
            if following is None:
                del self._windows[target, category]
            else:
                self._windows[target, category] = following
            self._plan.windows[target, category] = following
            if window.waiting and target in self.policy.targets:
                self._send_digest(target, category, window.waiting, now_ms)

    def _send_digest(self, target: str, category: Category, waiting: list[Waiting], now_ms: int) -> None:
        key = key_of("digest", category, target, *(each.key for each in waiting))
        members = [each.named for each in waiting]
        first = waiting[0]
        if category == "opens":
            self._notified_by(target, key, members)
        text = texts.digest(category, len(members), members)
        self._plan.notifications.append(
            Notification(
                key,
                target,
                first.route,
                "digest",
                "recovery" if category == "ends" else first.kind,
                key,
                [key, *dict.fromkeys(each.lane for each in waiting)],
                now_ms,
                text.title,
                text.sentences,
                digest_of=category,
                count=len(members),
                members=members[:NAMED_IN_DIGEST],
            )
        )
        is_over = all(member.is_over for member in members)
        if category == "opens" and is_over and self.policy.targets[target].has_state:
            self._close_digest(target, first.route, key, now_ms)

    def _notified_by(self, target: str, digest: str, members: list[Named]) -> None:
        for member in members:
            incident = self.incidents.get(member.key)
            for notified in incident.notified if incident is not None else ():
                if notified.target == target and notified.waits:
                    notified.waits, notified.thread = False, digest
                    self._changed(self.incidents[member.key])

    def _drop_waiting(self, key: str) -> None:
        """Take what is no longer so out of digests that wait: reminders and notes of something that is over."""
        for (target, category), window in self._windows.items():
            if category in ("reminds", "notes") and any(each.named.key == key for each in window.waiting):
                window.waiting = [each for each in window.waiting if each.named.key != key]
                self._plan.windows[target, category] = window

    def _mark_over(self, target: str, key: str) -> None:
        window = self._windows.get((target, "opens"))
        if window is None:  # the routes did not know the target when its digest was due
            return
        for waiting in window.waiting:
            if waiting.named.key == key:
                waiting.named = msgspec.structs.replace(waiting.named, is_over=True)
        self._plan.windows[target, "opens"] = window

    def _send(
        self,
        target: str,
        route: str,
        does: Category,
        key: str,
        thread: str,
        text: texts.Text,
        now_ms: int,
        event: Event | None = None,
        newest: Event | None = None,
        ended_us: int | None = None,
        lanes: list[str] | None = None,
    ) -> None:
        self._plan.notifications.append(
            Notification(
                key,
                target,
                route,
                does,
                "recovery" if does == "ends" and _recovers(event) else event.kind if event else "failure",
                thread,
                lanes or [event.lane if event is not None else thread],
                now_ms,
                text.title,
                text.sentences,
                text.fields,
                texts.link_of(self.policy.link, event) if event is not None else None,
                event,
                newest,
                ended_us,
            )
        )

    def _changed(self, incident: Incident) -> None:
        self._plan.incidents[incident.event.key] = incident


def _thread(key: str, notified: Notified) -> str:
    """The key of the notification that opened it."""
    return notified.thread or key_of("opens", key, notified.target)


def _recovers(event: Event | None) -> bool:
    return event is None or event.kind in OPENINGS


def _named(event: Event) -> Named:
    return Named(event.key, event.project_id, event.slug, event.name, event.environment, event.status)
