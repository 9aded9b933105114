"""What an organization lets in: killswitch, seats, limits (SPEC, section 4)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

from dataflow.monitors.check_in import CheckIn, Control, Errors, Seat
from dataflow.monitors.config import InvalidConfig, MonitorConfig, parse_config, shared
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import Limit
from dataflow.monitors.silences import Silence

UNLIMITED = -1
"""Stands for seats without a limit."""
NO_KEY_GROUP = -1
"""Stands for a key group that nobody has asked for yet."""
_KILLED: Errors = [{"type": ErrorType.ORGANIZATION_KILLSWITCH_ENABLED}]
_RATE_LIMITED: Errors = [{"type": ErrorType.MONITOR_ENVIRONMENT_RATELIMITED}]
_OVER_QUOTA: Errors = [{"type": ErrorType.MONITOR_OVER_QUOTA}]
_LIMIT_EXCEEDED: Errors = [{"type": ErrorType.MONITOR_LIMIT_EXCEEDED}]


class Limits(NamedTuple):
    """What every organization may have."""

    monitors: int
    seats: int
    """For organizations of which no control says otherwise; UNLIMITED for no limit."""


class Holder(IntEnum):
    """How a monitor stands with its organization's seats."""

    SEATED = 0
    """Holds a seat."""
    SEATLESS = 1
    """Was refused one; takes one when it can."""
    DISABLED = 2
    """Somebody disabled it, which freed its seat."""


_HOLDERS = {int(holder): holder for holder in Holder}
_SEATED = int(Holder.SEATED)
"""For a start, which enters every member: an enumeration takes ten times as long to ask."""


class Member(msgspec.Struct, gc=False):
    """A monitor as its organization knows it."""

    holder: Holder
    config: MonitorConfig | None = None
    """As the check-ins and controls that were let in made it."""
    key_group: int = NO_KEY_GROUP
    """Where its items go: kept here for the gate, which is asked with every check-in."""


class OrganizationState(msgspec.Struct, array_like=True):
    """An organization as a snapshot holds it; its members are apart, but in what earlier releases wrote."""

    killed: bool
    seats: int | None
    monitors: list[tuple[int, str, int, MonitorConfig | None]] = []
    silences: list[Silence] = []


class Organization:
    """One organization: whether it is switched off, its monitors and who of them holds a seat."""

    __slots__ = ("_changed", "_limits", "_seats", "_taken", "killed", "members", "silences")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.killed = False
        self._seats: int | None = None
        """As a control set them; None: as the settings say."""
        self.members: dict[tuple[int, str], Member] = {}
        """By (project id, slug); to be read only."""
        self._taken = 0
        self._changed: dict[tuple[int, str], None] = {}
        self.silences: dict[str, Silence] = {}
        """Those that were not over when the newest was announced, by id; to be read only."""

    @classmethod
    def restore(cls, limits: Limits, state: OrganizationState) -> Organization:
        """An organization from its snapshot; the limits are those of today."""
        organization = cls(limits)
        organization.killed = state.killed
        organization._seats = state.seats
        organization.silences = {silence.id: silence for silence in state.silences}
        for member in state.monitors:
            organization.enter(*member)
        return organization

    def enter(self, project_id: int, slug: str, holder: int, config: MonitorConfig | None) -> None:
        """A member from a snapshot."""
        known = shared(config) if config is not None else None
        self.members[project_id, slug] = Member(_HOLDERS[holder], known)
        self._taken += holder == _SEATED

    def state(self) -> OrganizationState:
        """What a snapshot holds beside the members."""
        return OrganizationState(self.killed, self._seats, silences=list(self.silences.values()))

    def take_changed(self) -> list[tuple[int, str]]:
        """The members that were made, changed or deleted since the last call."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def check_in(self, check_in: CheckIn, over_rate_limit: bool) -> Errors | None:
        """Why a check-in is rejected, if it is; otherwise notes what its monitor is granted (`seat`).

        1. killswitch  2. rate limit  3. quota  4. guid, then the fields; then, for a monitor that it would create,
        the limit of monitors. No seat is taken for a check-in that is rejected.
        """
        if self.killed:
            return _KILLED
        if over_rate_limit:
            return _RATE_LIMITED
        key = (check_in.project_id, check_in.slug)
        member = self.members.get(key)
        holder = member.holder if member is not None else None
        if holder is Holder.SEATLESS and not self._has_seat():
            return _OVER_QUOTA
        if check_in.problem is not None:
            return [msgspec.json.decode(check_in.problem)]
        if holder is Holder.SEATLESS:
            self._take(key)
            check_in.seat = Seat.ENABLE
        elif holder is None and check_in.config is not None:
            if isinstance(parse_config(check_in.config), InvalidConfig):
                return None  # said where the monitor is not found
            seat = self._create(key)
            if seat is None:
                return _LIMIT_EXCEEDED
            check_in.seat = seat
        return None

    def configures(self, member: Member, item: CheckIn | Control) -> bool:
        """Note the config of a check-in or control that was let in; whether it is new, or changes the monitor's, which
        is this member."""
        if item.config is None:
            return False
        parsed = parse_config(item.config)
        if isinstance(parsed, InvalidConfig):
            return False
        before = member.config
        after = parsed.merged_into(before)
        if after is before:
            return False
        assert item.project_id is not None
        assert item.slug is not None
        member.config = after
        self._changed[item.project_id, item.slug] = None
        return True

    def control(self, control: Control) -> Errors | None:
        """Apply a control as far as the organization is concerned; why it is rejected, if it is."""
        if control.is_about_silence:
            return self._silence(control)
        if control.kind == "set_killswitch":
            self.killed = bool(control.flag)
        elif control.kind == "set_seats":
            self._seats = control.seats if control.seats is not None else UNLIMITED
        elif control.kind != "upsert_sampling_rule":
            assert control.project_id is not None
            assert control.slug is not None
            return self._monitor_control(control, (control.project_id, control.slug))
        return None

    def _monitor_control(self, control: Control, key: tuple[int, str]) -> Errors | None:
        member = self.members.get(key)
        if control.kind == "upsert_monitor":
            if member is None and self._create(key) is None:
                return _LIMIT_EXCEEDED
            if member is None:
                control.flag = self.members[key].holder is Holder.SEATED
            return None
        if member is None:
            return _refused("no such monitor")
        if control.kind == "set_monitor_status":
            return self._set_status(control, key, member)
        if control.kind == "delete_monitor" and control.environment is None:
            self._taken -= member.holder is Holder.SEATED
            del self.members[key]
            self._changed[key] = None
        return None

    def _set_status(self, control: Control, key: tuple[int, str], member: Member) -> Errors | None:
        if control.status == "disabled":
            self._taken -= member.holder is Holder.SEATED
            member.holder = Holder.DISABLED
            self._changed[key] = None
        elif member.holder is not Holder.SEATED:
            if not self._has_seat():
                return _refused("no seat is free")
            self._take(key)
        return None

    def _silence(self, control: Control) -> Errors | None:
        """Announce a silence, or end one early: then the control holds what is left of it."""
        at_us, silence = control.received_us, control.silence
        if silence is None:
            known = self.silences.get(control.silence_id or "")
            if known is None or known.over_us() <= at_us:
                return _refused("no such silence is in force")
            control.silence = self.silences[known.id] = known.ended(at_us)
            return None
        if control.slug is not None and (control.project_id, control.slug) not in self.members:
            return _refused("no such monitor")
        if silence.id in self.silences:
            return _refused("there is a silence of this id already")
        kept = {key: each for key, each in self.silences.items() if each.over_us() > at_us}
        if len(kept) >= Limit.SILENCES:
            return _refused(f"there are {Limit.SILENCES} silences already that are not over")
        self.silences = {**kept, silence.id: silence}
        return None

    def _create(self, key: tuple[int, str]) -> Seat | None:
        if len(self.members) >= self._limits.monitors:
            return None
        if self._has_seat():
            self._take(key)
            return Seat.CREATE
        self.members[key] = Member(Holder.SEATLESS)
        self._changed[key] = None
        return Seat.CREATE_DISABLED

    def _has_seat(self) -> bool:
        seats = self._seats if self._seats is not None else self._limits.seats
        return seats == UNLIMITED or self._taken < seats

    def _take(self, key: tuple[int, str]) -> None:
        member = self.members.get(key)
        if member is None:
            self.members[key] = Member(Holder.SEATED)
        else:
            member.holder = Holder.SEATED
        self._taken += 1
        self._changed[key] = None


def _refused(reason: str) -> Errors:
    return [{"type": ErrorType.INVALID_CONTROL, "reason": reason}]
