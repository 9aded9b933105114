"""Gate: what an organization lets in. Keyed by the organization's key group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, Control, Errors, Seat
from dataflow.monitors.config import MonitorConfig
from dataflow.monitors.organization import NO_KEY_GROUP, Holder, Limits, Member, Organization
from dataflow.monitors.times import Minute
from dataflow.steps.key_group import KeyGroup, read_blocks, read_snapshot
from dataflow.steps.processing_error_rows import rejection
from dataflow.steps.snapshot_blocks import Blocks
from dataflow.stream.items import Chunk, Item, Records, RuleRequested, Sampled, Volumes
from dataflow.stream.key_groups import monitor_group
from dataflow.stream.watermark import Watermark
from state.schema.catalogue import by_table
from state.schema.tables.runs import ProcessingErrorRow

_CREATE_DISABLED = int(Seat.CREATE_DISABLED)
_LATE_MINUTES = 2
"""Counts of the rate limit are kept so long behind the watermark, for broker timestamps that are out of order."""


_Key = tuple[int, int, str]
"""(organization id, project id, slug)"""
_SavedMember = tuple[int, int, str, int, MonitorConfig | None]


class GateState(msgspec.Struct, array_like=True):
    """What a snapshot of the gate holds. In version 1 the members were in their organizations."""

    watermark: tuple[int, dict[str, int]]
    organizations: dict[int, Any]
    counts: dict[int, list[tuple[int, str, str, int]]]
    volumes: dict[int, int] = msgspec.field(default_factory=dict)
    members: list[bytes] = msgspec.field(default_factory=list)


Output = Chunk | Records | Sampled | Volumes


class Gate(KeyGroup[Chunk, Output]):
    """One key group of organizations.

    Lets items through to the key groups of their monitors, and the watermark of all partitions behind them. What
    passed goes to sampling too, with a request for a rule before each check-in that configures its monitor; and how
    many check-ins that were in each minute goes to where volumes are judged.
    """

    VERSION = 2

    def __init__(
        self,
        key_groups: int,
        partitions: Sequence[str],
        limits: Limits,
        rate_limit: int,
        sample_new_monitors: bool,
        snapshot: bytes | None,
    ) -> None:
        self._key_groups = key_groups
        self._limits = limits
        self._rate_limit = rate_limit
        self._sample_new_monitors = sample_new_monitors
        self._organizations: dict[int, Organization] = {}
        self._counts: dict[int, dict[tuple[int, str, str], int]] = {}
        self._volumes: dict[int, int] = {}
        """Check-ins let in by minute, from the watermark on."""
        self._members: Blocks[_Key] = Blocks()
        state = read_snapshot("gate", self.VERSION, snapshot, GateState) if snapshot is not None else None
        self._watermark = Watermark(partitions, state.watermark if state is not None else None)
        if state is not None:
            self._restore(state)

    def _restore(self, state: GateState) -> None:
        for organization_id, saved in state.organizations.items():
            self._organizations[organization_id] = Organization.restore(self._limits, saved)
        layout = tuple[list[_Key], list[_SavedMember]]
        for organization_id, *member in read_blocks("gate", self._members, state.members, layout, _key_of):
            self._organizations[organization_id].enter(*member)
        for minute, counts in state.counts.items():
            self._counts[minute] = {(project, slug, name): n for project, slug, name, n in counts}
        self._volumes = state.volumes

    def state(self) -> GateState:
        """What a snapshot holds."""
        return GateState(
            self._watermark.state(),
            {key: organization.state() for key, organization in self._organizations.items()},
            {minute: [(*key, n) for key, n in counts.items()] for minute, counts in self._counts.items()},
            self._volumes,
            self._member_blocks(),
        )

    def _member_blocks(self) -> list[bytes]:
        organizations = self._organizations
        changed = [(number, *key) for number, each in organizations.items() for key in each.take_changed()]

        def find(key: _Key) -> _SavedMember | None:
            return _saved(key[0], organizations[key[0]], key[1:])

        def everything() -> list[_SavedMember | None]:
            return [
                _saved(number, each, key) for number, each in organizations.items() for key in each.members
            ]

        count = sum(len(each.members) for each in organizations.values())
        return self._members.update(changed, count, find, everything)

    def apply(self, chunks: list[Chunk]) -> list[Output]:
        """Let through what may pass; reject the rest with one processing error each."""
        by_group: list[list[Item]] = [[] for _ in range(self._key_groups)]
        passed: list[Item] = []
        rejected: list[ProcessingErrorRow] = []
        advanced = False
        for chunk in chunks:
            for item in chunk.items:
                if type(item) is CheckIn:
                    if errors := self._check_in(item, by_group, passed):
                        rejected.append(rejection(item, errors))
                else:
                    assert isinstance(item, Control)
                    slowest = Minute(self._watermark.slowest_beside(chunk.origin))
                    item.reached_minute = min(item.clock_minute, slowest)
                    if errors := self._control(item):
                        rejected.append(rejection(item, errors))
                    else:
                        self._pass_control(item, by_group, passed)
            if chunk.clock_minute != NO_MINUTE and chunk.origin >= 0:
                advanced |= self._watermark.advance(chunk.origin, chunk.clock_minute)
        group = chunks[0].target
        out: list[Output] = []
        if advanced:
            minute = self._watermark.minute
            out.append(self._take_volumes(group, minute))
            self._forget_counts(minute - _LATE_MINUTES)
            out += [Chunk(group, target, items, minute) for target, items in enumerate(by_group)]
        else:
            out += [Chunk(group, target, items) for target, items in enumerate(by_group) if items]
        if passed or advanced:
            out.append(Sampled(group, group, passed, self._watermark.minute if advanced else NO_MINUTE))
        if rejected:
            out.append(Records(group, by_table(rejected)))
        return out

    def _check_in(self, item: CheckIn, by_group: list[list[Item]], passed: list[Item]) -> Errors | None:
        """Let a check-in through, or say why not. Of a monitor that holds a seat there is little to ask."""
        organization = self._organizations.get(item.organization_id)
        if organization is None:
            organization = self._organization(item.organization_id)
        minute = item.received_us // MINUTE_US
        over = not organization.killed and self._is_over_rate_limit(item, minute)
        key = (item.project_id, item.slug)
        member = organization.members.get(key)
        if (
            over
            or member is None
            or member.holder is not Holder.SEATED
            or organization.killed
            or item.problem is not None
        ):
            if errors := organization.check_in(item, over):
                return errors
            member = organization.members.get(key)
        if member is None or member.key_group == NO_KEY_GROUP:
            by_group[self._key_group(member, *key)].append(item)
        else:
            by_group[member.key_group].append(item)
        self._count(item, minute)
        configures = item.config is not None and organization.configures(item)
        if item.seat == _CREATE_DISABLED:
            return None
        if configures and self._sample_new_monitors:
            passed.append(_rule_request(item))
        passed.append(item)
        return None

    def _pass_control(self, item: Control, by_group: list[list[Item]], passed: list[Item]) -> None:
        if item.project_id is not None and item.slug is not None:
            organization = self._organizations[item.organization_id]
            member = organization.members.get((item.project_id, item.slug))
            by_group[self._key_group(member, item.project_id, item.slug)].append(item)
            organization.configures(item)
        elif item.rule is not None:
            passed.append(item)

    def _key_group(self, member: Member | None, project_id: int, slug: str) -> int:
        if member is None:
            return monitor_group(project_id, slug, self._key_groups)
        if member.key_group == NO_KEY_GROUP:
            member.key_group = monitor_group(project_id, slug, self._key_groups)
        return member.key_group

    def _count(self, item: CheckIn, minute: int) -> None:
        """Count a check-in in the minute that its partition's clock shows behind it: a broker timestamp that is out
        of order cannot come to a minute that has been judged."""
        if item.clock_minute > minute:
            minute = item.clock_minute
        self._volumes[minute] = self._volumes.get(minute, 0) + 1

    def _take_volumes(self, group: int, minute: int) -> Volumes:
        closed = sorted(counted for counted in self._volumes if counted < minute)
        return Volumes(group, 0, {counted: self._volumes.pop(counted) for counted in closed}, minute)

    def _control(self, item: Control) -> Errors | None:
        return self._organization(item.organization_id).control(item)

    def _organization(self, organization_id: int) -> Organization:
        organization = self._organizations.get(organization_id)
        if organization is None:
            organization = self._organizations[organization_id] = Organization(self._limits)
        return organization

    def _is_over_rate_limit(self, item: CheckIn, minute: int) -> bool:
        if not item.slug:
            return False
        counts = self._counts.get(minute)
        if counts is None:
            counts = self._counts[minute] = {}
        key = (item.project_id, item.slug, item.environment)
        count = counts.get(key, 0) + 1
        counts[key] = count
        return count > self._rate_limit

    def _forget_counts(self, before_minute: int) -> None:
        for minute in [minute for minute in self._counts if minute < before_minute]:
            del self._counts[minute]


def _key_of(saved: _SavedMember) -> _Key:
    return saved[:3]


def _saved(organization_id: int, organization: Organization, key: tuple[int, str]) -> _SavedMember | None:
    member = organization.members.get(key)
    return (organization_id, *key, int(member.holder), member.config) if member is not None else None


def _rule_request(item: CheckIn) -> RuleRequested:
    return RuleRequested(
        item.organization_id,
        item.project_id,
        item.slug,
        item.received_us,
        item.topic,
        item.partition,
        item.offset,
    )
