"""What is let in, and where it goes: the organizations of one gate group (SPEC, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from dataflow.monitors.check_in import MINUTE_US, CheckIn, Control, Errors, Seat
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.organization import NO_KEY_GROUP, Holder, Limits, Member, Organization
from dataflow.monitors.rate_limit import RateLimit

_CREATE_DISABLED = int(Seat.CREATE_DISABLED)
_SEATED = Holder.SEATED
"""Looked up for every check-in, where a member of an enumeration takes ten times as long."""

MemberKey = tuple[int, int, str]
"""(organization id, project id, slug)"""
SavedMember = tuple[int, int, str, int, MonitorConfig | None]
"""(organization id, project id, slug, holder, config)"""


class RuleRequested(msgspec.Struct, array_like=True, tag=5, gc=False):
    """A check-in created its monitor, or changed its config: keep what the monitor really sends for a while."""

    organization_id: int
    project_id: int
    slug: str
    received_us: int
    """When the check-in came: the rule holds from there."""
    topic: str
    partition: int
    offset: int


class Outbox(Protocol):
    """Takes, in order, what goes to one place."""

    def append(self, item: CheckIn | Control | RuleRequested, /) -> None:
        """Take one more."""


class Admission:
    """The organizations of one gate group: lets check-ins and controls in, or says why not.

    What is let in goes to its monitor's key group; check-ins and sampling rules go to sampling as well, with a request
    for a rule before each check-in that configures its monitor.
    """

    __slots__ = (
        "_group_of",
        "_limits",
        "_may_have_changed",
        "_rate_limit",
        "_samples_new",
        "_volumes",
        "organizations",
    )

    def __init__(
        self,
        group_of: Callable[[int, str], int],
        limits: Limits,
        rate_limit: RateLimit,
        sample_new_monitors: bool,
        volumes: dict[int, int],
    ) -> None:
        """`group_of` says which key group a monitor (project id, slug) has; `volumes` is what `state` has held."""
        self._group_of = group_of
        self._limits = limits
        self._rate_limit = rate_limit
        self._samples_new = sample_new_monitors
        self._volumes = volumes
        """Check-ins that were let in, by minute, from the event clock on."""
        self._may_have_changed = 0
        self.organizations: dict[int, Organization] = {}
        """To be read only."""

    def check_in(self, item: CheckIn, to_monitors: Sequence[Outbox], to_sampling: Outbox) -> Errors | None:
        """Let a check-in in, or say why not. Of a monitor that holds a seat there is little to ask."""
        organization = self.organizations.get(item.organization_id)
        if organization is None:
            organization = self._organization(item.organization_id)
        minute = item.received_us // MINUTE_US
        over = not organization.killed and self._rate_limit.is_exceeded_by(item, minute)
        key = (item.project_id, item.slug)
        member = organization.members.get(key)
        if (
            over
            or member is None
            or member.holder is not _SEATED
            or organization.killed
            or item.problem is not None
        ):
            self._may_have_changed += 1
            if errors := organization.check_in(item, over):
                return errors
            member = organization.members.get(key)
        if member is None or member.key_group == NO_KEY_GROUP:
            to_monitors[self._key_group(member, *key)].append(item)
        else:
            to_monitors[member.key_group].append(item)
        # A minute that has been judged cannot be meant, whatever the broker's timestamp: not one before its clock's.
        counted = minute if minute > item.clock_minute else item.clock_minute
        self._volumes[counted] = self._volumes.get(counted, 0) + 1
        configures = item.config is not None and member is not None and organization.configures(member, item)
        if configures:
            self._may_have_changed += 1
        if item.seat != _CREATE_DISABLED:
            if configures and self._samples_new:
                to_sampling.append(_rule_for(item))
            to_sampling.append(item)
        return None

    def control(self, item: Control, to_monitors: Sequence[Outbox], to_sampling: Outbox) -> Errors | None:
        """Apply a control as far as organizations are concerned, and let it in, or say why not."""
        organization = self._organization(item.organization_id)
        self._may_have_changed += 1
        if errors := organization.control(item):
            return errors
        if item.silence is not None:
            if not item.silence.misses_count:  # the others change nothing but who is notified
                for to_group in to_monitors:
                    to_group.append(item)
        elif item.project_id is not None and item.slug is not None:
            member = organization.members.get((item.project_id, item.slug))
            to_monitors[self._key_group(member, item.project_id, item.slug)].append(item)
            if member is not None:
                organization.configures(member, item)
        elif item.rule is not None:
            to_sampling.append(item)
        return None

    @staticmethod
    def is_for_organization(item: Control) -> bool:
        """Whether a control that was let in is recorded here: it is not about one monitor, and not about sampling."""
        return (item.slug is None and item.rule is None) or item.is_about_silence

    def advance(self, clock_minute: int) -> dict[int, int]:
        """The event clock has reached this minute: how many check-ins were let in, in each minute that is over now."""
        self._rate_limit.forget_before(clock_minute)
        closed = sorted(minute for minute in self._volumes if minute < clock_minute)
        return {minute: self._volumes.pop(minute) for minute in closed}

    def volumes(self) -> dict[int, int]:
        """What a snapshot holds of the counts by minute."""
        return self._volumes

    def restore(self, organization_id: int, organization: Organization) -> None:
        """Take over an organization of a snapshot."""
        self.organizations[organization_id] = organization

    def restore_member(self, saved: SavedMember) -> None:
        """Take over a member of a snapshot; its organization is here."""
        self.organizations[saved[0]].enter(*saved[1:])

    def count_changed(self) -> int:
        """At least as many members were made, changed or deleted since `take_changed`."""
        return self._may_have_changed

    def take_changed(self) -> list[MemberKey]:
        """The members that were made, changed or deleted since the last call."""
        self._may_have_changed = 0
        return [(number, *key) for number, each in self.organizations.items() for key in each.take_changed()]

    def count_members(self) -> int:
        """How many members all organizations have."""
        return sum(len(each.members) for each in self.organizations.values())

    def member_keys(self) -> list[MemberKey]:
        """The keys of all members."""
        return [(number, *key) for number, each in self.organizations.items() for key in each.members]

    def saved_member(self, key: MemberKey) -> SavedMember | None:
        """One member as a snapshot holds it; None if there is none."""
        member = self.organizations[key[0]].members.get(key[1:])
        return (*key, int(member.holder), member.config) if member is not None else None

    def _organization(self, organization_id: int) -> Organization:
        organization = self.organizations.get(organization_id)
        if organization is None:
            organization = self.organizations[organization_id] = Organization(self._limits)
        return organization

    def _key_group(self, member: Member | None, project_id: int, slug: str) -> int:
        if member is None:
            return self._group_of(project_id, slug)
        if member.key_group == NO_KEY_GROUP:
            member.key_group = self._group_of(project_id, slug)
        return member.key_group


def _rule_for(item: CheckIn) -> RuleRequested:
    return RuleRequested(
        organization_id=item.organization_id,
        project_id=item.project_id,
        slug=item.slug,
        received_us=item.received_us,
        topic=item.topic,
        partition=item.partition,
        offset=item.offset,
    )
