"""Monitor retrieval or creation (SPEC, section 5), and the controls that change monitors (section 8)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import NIL_GUID, CheckIn, Control, Errors, Seat
from dataflow.monitors.config import ConfigUpdate, InvalidConfig, MonitorConfig, parse_config, shared
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import Limit
from state.schema.tables.monitors import ConfigRow, MonitorRow, MonitorStatusRow

_BREAKS = ("/", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
"""What an environment's name may not hold: `/`, and whatever Python takes for a line break."""

Key = tuple[int, str]
"""(project id, slug)"""


class Held(NamedTuple):
    """What `monitor_config_history` is about."""

    config: MonitorConfig
    name: str
    owner: str | None


class KnownMonitor(msgspec.Struct, array_like=True, gc=False):
    """A monitor as the upsert step knows it."""

    project_id: int
    slug: str
    organization_id: int
    name: str
    is_disabled: bool
    is_muted: bool
    owner: str | None
    config: MonitorConfig
    created_us: int
    updated_us: int
    environments: dict[str, bool]
    """Names, and whether they are muted. With a single one, many monitors share the dictionary (`_only`)."""

    def held(self) -> Held:
        """What holds now."""
        return Held(self.config, self.name, self.owner)

    def row(self) -> MonitorRow:
        """The monitor as a row of `monitors`."""
        config = self.config
        return MonitorRow(
            project_id=self.project_id,
            organization_id=self.organization_id,
            slug=self.slug,
            monitor_id=identity.monitor_id(self.project_id, self.slug),
            name=self.name,
            status="disabled" if self.is_disabled else "active",
            is_muted=self.is_muted,
            owner=self.owner,
            schedule_type=config.schedule_type,
            schedule=config.schedule,
            timezone=config.zone,
            checkin_margin=config.checkin_margin,
            max_runtime=config.max_runtime,
            failure_issue_threshold=config.failure_issue_threshold,
            recovery_threshold=config.recovery_threshold,
            created_at=self.created_us,
            updated_at=self.updated_us,
        )

    def replaced_row(self, before: Held, by: CheckIn | Control) -> ConfigRow:
        """A row of `monitor_config_history`: this held until a check-in or a control changed it."""
        config, is_check_in = before.config, isinstance(by, CheckIn)
        return ConfigRow(
            project_id=self.project_id,
            slug=self.slug,
            replaced_at=by.received_us,
            schedule_type=config.schedule_type,
            schedule=config.schedule,
            timezone=config.zone,
            checkin_margin=config.checkin_margin,
            max_runtime=config.max_runtime,
            failure_issue_threshold=config.failure_issue_threshold,
            recovery_threshold=config.recovery_threshold,
            replaced_by="check_in" if is_check_in else "control",
            replaced_by_environment=by.environment if is_check_in else None,
            replaced_by_check_in_id=by.guid if isinstance(by, CheckIn) and by.guid != NIL_GUID else None,
            name=before.name,
            owner=before.owner,
        )

    def status_row(self, at_us: int) -> MonitorStatusRow:
        """A row of `monitor_status_history`: it became what it is at this time."""
        return MonitorStatusRow(
            project_id=self.project_id,
            slug=self.slug,
            changed_at=at_us,
            status="disabled" if self.is_disabled else "active",
        )


class Retrieval(NamedTuple):
    """What came of looking for a check-in's monitor."""

    monitor: KnownMonitor | None
    changed: bool
    """The monitor was created, or its config, owner or status changed."""
    rejected: Errors | None
    """Why the check-in goes no further, if it does not."""
    complaint: Errors | None = None
    """What was wrong, though the check-in goes on."""


class Registry:
    """The monitors of one key group."""

    __slots__ = ("_changed", "_max_environments", "monitors")

    def __init__(self, max_environments: int) -> None:
        self._max_environments = max_environments
        self.monitors: dict[Key, KnownMonitor] = {}
        """To be read only."""
        self._changed: dict[Key, None] = {}

    def is_ready(self, check_in: CheckIn) -> bool:
        """Whether monitor and environment are there and nothing about them changes: the usual case, seen fast."""
        monitor = self.monitors.get((check_in.project_id, check_in.slug))
        if (
            monitor is None
            or check_in.seat
            or monitor.is_disabled
            or check_in.environment not in monitor.environments
        ):
            return False
        if check_in.config is None:
            return True
        parsed = parse_config(check_in.config)
        return (
            isinstance(parsed, ConfigUpdate)
            and parsed.merged_into(monitor.config) is monitor.config
            and (not parsed.owner or parsed.owner == monitor.owner)
        )

    def held_by(self, item: CheckIn | Control) -> Held | None:
        """What holds for the monitor that an item is about, if the monitor is known."""
        monitor = self.monitors.get((item.project_id or 0, item.slug or ""))
        return monitor.held() if monitor is not None else None

    def retrieve(self, check_in: CheckIn) -> Retrieval:
        """Find, create or update the monitor of a check-in, and make sure of its environment.

        1. The config, if the check-in names one: parsed, and merged into what is stored.
        2. A disabled monitor takes no check-in (its config is updated all the same).
        3. The environment: its name, then the monitor's limit.
        """
        key = (check_in.project_id, check_in.slug)
        monitor = self.monitors.get(key)
        if monitor is not None or check_in.config is not None:
            self._changed[key] = None  # or maybe not
        if monitor is not None and check_in.config is None and check_in.seat == Seat.HELD:
            if monitor.is_disabled:
                return Retrieval(monitor, False, [{"type": ErrorType.MONITOR_DISABLED}])
            return self._environment(monitor, check_in, False, None)
        return self._with_config(key, monitor, check_in)

    def _with_config(self, key: Key, monitor: KnownMonitor | None, check_in: CheckIn) -> Retrieval:
        parsed = parse_config(check_in.config) if check_in.config is not None else None
        complaint: Errors | None = None
        if isinstance(parsed, InvalidConfig):
            complaint = [{"type": ErrorType.MONITOR_INVALID_CONFIG, "errors": parsed.errors}]
            parsed = None
        if monitor is None:
            if parsed is None:
                not_found: Errors = [{"type": ErrorType.MONITOR_NOT_FOUND}]
                return Retrieval(None, False, (complaint or []) + not_found)
            monitor, changed = self._create(key, check_in, parsed), True
        else:
            changed = _update(monitor, parsed, check_in.received_us) if parsed is not None else False
        if check_in.seat == Seat.CREATE_DISABLED:
            monitor.is_disabled = True
            return Retrieval(monitor, True, [{"type": ErrorType.MONITOR_DISABLED_NO_QUOTA}])
        if check_in.seat == Seat.ENABLE:
            monitor.is_disabled, monitor.updated_us, changed = False, check_in.received_us, True
        if monitor.is_disabled:
            disabled: Errors = [{"type": ErrorType.MONITOR_DISABLED}]
            return Retrieval(monitor, changed, (complaint or []) + disabled)
        return self._environment(monitor, check_in, changed, complaint)

    def _create(self, key: Key, check_in: CheckIn, parsed: ConfigUpdate) -> KnownMonitor:
        monitor = self.monitors[key] = _new_monitor(key, check_in, parsed)
        return monitor

    def _environment(
        self, monitor: KnownMonitor, check_in: CheckIn, changed: bool, complaint: Errors | None
    ) -> Retrieval:
        name = check_in.environment
        if name not in monitor.environments:
            problem = None
            if len(name) > Limit.ENVIRONMENT_CHARACTERS or any(character in name for character in _BREAKS):
                problem = ErrorType.MONITOR_INVALID_ENVIRONMENT
            elif len(monitor.environments) >= self._max_environments:
                problem = ErrorType.MONITOR_ENVIRONMENT_LIMIT_EXCEEDED
            if problem is not None:
                return Retrieval(monitor, changed, (complaint or []) + [{"type": problem}])
            _set_environment(monitor, name, False)
        return Retrieval(monitor, changed, None, complaint)

    def upsert_monitor(self, control: Control) -> tuple[KnownMonitor, bool]:
        """Apply the control of this name: the monitor, and whether its environments' next times change by it."""
        assert control.project_id is not None
        assert control.slug is not None
        assert control.config is not None
        parsed = parse_config(control.config)
        assert isinstance(parsed, ConfigUpdate)  # the decoder refuses others
        monitor = self.monitors.get((control.project_id, control.slug))
        self._changed[control.project_id, control.slug] = None
        if monitor is None:
            monitor = _new_monitor((control.project_id, control.slug), control, parsed)
            monitor.name, monitor.is_disabled = control.name or control.slug, control.flag is False
            self.monitors[control.project_id, control.slug] = monitor
            return monitor, False
        before = monitor.config
        _update(monitor, parsed, control.received_us)
        if control.name and control.name != monitor.name:
            monitor.name, monitor.updated_us = control.name, control.received_us
        return monitor, not monitor.config.is_timed_as(before)

    def set_status(self, control: Control) -> KnownMonitor | None:
        """Enable or disable; the monitor if that changed it."""
        monitor = self.find(control)
        disabled = control.status == "disabled"
        if isinstance(monitor, list) or monitor.is_disabled == disabled:
            return None
        self._changed[monitor.project_id, monitor.slug] = None
        monitor.is_disabled, monitor.updated_us = disabled, control.received_us
        return monitor

    def mute(self, control: Control) -> KnownMonitor | Errors:
        """Mute or unmute the monitor, or one environment; the errors if there is no such thing."""
        monitor = self.find(control)
        if isinstance(monitor, list):
            return monitor
        self._changed[monitor.project_id, monitor.slug] = None
        if control.environment is None:
            monitor.is_muted, monitor.updated_us = bool(control.flag), control.received_us
        else:
            _set_environment(monitor, control.environment, bool(control.flag))
        return monitor

    def find(self, control: Control) -> KnownMonitor | Errors:
        """The monitor of a control that changes nothing here; the errors if it, or its environment, is not there."""
        assert control.project_id is not None
        assert control.slug is not None
        monitor = self.monitors.get((control.project_id, control.slug))
        if monitor is None:
            return [{"type": ErrorType.INVALID_CONTROL, "reason": "no such monitor"}]
        if control.environment is not None and control.environment not in monitor.environments:
            return [{"type": ErrorType.INVALID_CONTROL, "reason": "no such environment"}]
        return monitor

    def delete(self, control: Control) -> KnownMonitor | Errors:
        """Delete the monitor, or one environment; what it was, or the errors if there is no such thing."""
        monitor = self.find(control)
        if isinstance(monitor, list):
            return monitor
        self._changed[monitor.project_id, monitor.slug] = None
        if control.environment is None:
            del self.monitors[monitor.project_id, monitor.slug]
        else:
            monitor.environments = dict(monitor.environments)
            del monitor.environments[control.environment]
        return monitor

    def count_changed(self) -> int:
        """At least as many monitors were made, changed or deleted since `take_changed`."""
        return len(self._changed)

    def take_changed(self) -> list[Key]:
        """The monitors that were made, changed or deleted since the last call, and maybe others."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def restore(self, monitors: list[KnownMonitor]) -> None:
        """Take over what a snapshot held."""
        for monitor in monitors:
            monitor.config = shared(monitor.config)
            if len(monitor.environments) == 1:
                ((name, is_muted),) = monitor.environments.items()
                monitor.environments = _only(name, is_muted)
            self.monitors[monitor.project_id, monitor.slug] = monitor


@lru_cache(maxsize=1_024)
def _only(name: str, is_muted: bool) -> dict[str, bool]:
    """The environments of monitors that have this one: a dictionary for all of them. Not to be changed."""
    return {name: is_muted}


def _set_environment(monitor: KnownMonitor, name: str, is_muted: bool) -> None:
    environments = monitor.environments
    if not environments.keys() - {name}:
        monitor.environments = _only(name, is_muted)
        return
    if len(environments) == 1:
        environments = monitor.environments = dict(environments)
    environments[name] = is_muted


def _new_monitor(key: Key, item: CheckIn | Control, parsed: ConfigUpdate) -> KnownMonitor:
    project_id, slug = key
    return KnownMonitor(
        project_id=project_id,
        slug=slug,
        organization_id=item.organization_id,
        name=slug,
        is_disabled=False,
        is_muted=False,
        owner=parsed.owner,
        config=parsed.merged_into(None),
        created_us=item.received_us,
        updated_us=item.received_us,
        environments={},
    )


def _update(monitor: KnownMonitor, parsed: ConfigUpdate, at_us: int) -> bool:
    config = parsed.merged_into(monitor.config)
    owner = parsed.owner or monitor.owner
    if config is monitor.config and owner == monitor.owner:
        return False
    monitor.config, monitor.owner, monitor.updated_us = config, owner, at_us
    return True
