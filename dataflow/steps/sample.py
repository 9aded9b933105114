"""Sample: which raw check-ins are kept whole (SPEC, section 9). Keyed by the organization's key group.

It hangs off the gate and holds nobody up. What it decides depends on event time alone, not on how partitions
interleave: requests for rules, and the check-ins that any rule might want, wait until the watermark has passed their
minute, and are then taken in order of (broker's timestamp, topic, partition, offset).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import MINUTE_US, NIL_GUID, NO_MINUTE, STATUS_NAMES, CheckIn, Control, Errors
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import Limit, payload_json
from dataflow.sampling.conditions import Subject
from dataflow.sampling.rule_request import RuleRequest, new_monitor_rule, parse_rule
from dataflow.sampling.sampling_rules import OrganizationRules, Rule, TooManyRules
from dataflow.steps.key_group import KeyGroup, read_snapshot
from dataflow.steps.processing_error_rows import rejection
from dataflow.stream.items import Chunk, Records, RuleRequested
from dataflow.wire.check_ins import payload_of
from state.schema.catalogue import by_table
from state.schema.tables.runs import ProcessingErrorRow
from state.schema.tables.sampling import SampleRow, SamplingRuleRow

Waiting = CheckIn | Control | RuleRequested


Place = tuple[str, int, int]
"""Topic, partition, offset."""


class SampleState(msgspec.Struct, array_like=True):
    """What a snapshot of the step holds."""

    minute: int
    rules: dict[int, Any]
    waiting: list[Waiting]


def _order(item: Waiting) -> tuple[int, str, int, int, bool]:
    """Event time, then position; a rule that a check-in calls for comes before that check-in."""
    return (item.received_us, item.topic, item.partition, item.offset, isinstance(item, CheckIn))


class Sample(KeyGroup[Chunk, Records]):
    """One key group of organizations and their rules."""

    def __init__(self, base_rate: float, is_at_end: Callable[[], bool], snapshot: bytes | None) -> None:
        """`is_at_end` is asked when the input has ended: False if the flow was only asked to stop."""
        self._base_rate = base_rate
        self._is_at_end = is_at_end
        self._minute: int = NO_MINUTE
        self._rules: dict[int, OrganizationRules] = {}
        self._waiting: list[Waiting] = []
        self._asked: dict[int, dict[Place, RuleRequest]] = {}
        """Per organization, what the controls that wait ask for."""
        self._configured: dict[tuple[int, str], int] = {}
        """For which monitors (project, slug) a rule is called for by what waits, and how often."""
        self._watched: set[int] = set()
        """The organizations that may want to keep a check-in, beside those of monitors for which a rule waits."""
        self._group = 0
        if snapshot is not None:
            self._restore(read_snapshot("sample", self.VERSION, snapshot, SampleState))

    def _restore(self, state: SampleState) -> None:
        self._minute = state.minute
        for organization_id, saved in state.rules.items():
            self._rules[organization_id] = OrganizationRules.from_state(saved, self._base_rate)
        self._waiting = state.waiting
        for item in self._waiting:
            if not isinstance(item, CheckIn):
                self._ask(item)
        self._watched |= {key for key, rules in self._rules.items() if rules.any_active}

    def _ask(self, item: Control | RuleRequested) -> None:
        """Note a request that waits. Those of monitors are found by name: there may be very many at once."""
        if isinstance(item, RuleRequested):
            name = item.project_id, item.slug
            self._configured[name] = self._configured.get(name, 0) + 1
        else:
            self._asked.setdefault(item.organization_id, {})[_place(item)] = _rule_of(item)
            self._watched.add(item.organization_id)

    def _take_request(self, item: Control | RuleRequested) -> RuleRequest:
        """What a request asks for, which no longer waits."""
        if isinstance(item, Control):
            return self._asked[item.organization_id].pop(_place(item))
        name = item.project_id, item.slug
        self._configured[name] -= 1
        if not self._configured[name]:
            del self._configured[name]
        return new_monitor_rule(item.project_id, item.slug, item.received_us)

    def state(self) -> SampleState:
        """What a snapshot holds."""
        rules = {key: rules.to_state() for key, rules in self._rules.items()}
        return SampleState(self._minute, rules, self._waiting)

    def apply(self, chunks: list[Chunk]) -> list[Records]:
        """Take in what might matter; decide on what the watermark has passed."""
        self._group = chunks[0].target
        for chunk in chunks:
            for item in chunk.items:
                if type(item) is CheckIn:
                    if self._might_keep(item):
                        self._wait(_to_keep(item))
                elif isinstance(item, Control | RuleRequested):
                    self._wait(item)
                    self._ask(item)
            self._minute = max(self._minute, chunk.clock_minute)
        return self._decide(self._minute * MINUTE_US)

    def _wait(self, item: Waiting) -> None:
        waiting = self._waiting
        if not waiting or _order(waiting[-1]) <= _order(item):
            waiting.append(item)
        else:
            insort(waiting, item, key=_order)

    def on_eof(self) -> tuple[list[Records], bool]:
        """The engine's call at the end of the input: nothing will come any more.

        When the flow was only asked to stop, something will: deciding now would be to decide without it.
        """
        return (self._decide(None) if self._is_at_end() else []), False

    def _might_keep(self, item: CheckIn) -> bool:
        if self._base_rate > 0:
            return True
        if self._configured and (item.project_id, item.slug) in self._configured:
            return True
        if item.organization_id not in self._watched:
            return False
        subject = _subject(item)
        rules = self._rules.get(item.organization_id)
        if rules is not None and rules.might_match(subject):
            return True
        asked = self._asked.get(item.organization_id)
        return asked is not None and any(request.matches(subject) for request in asked.values())

    def _decide(self, before_us: int | None) -> list[Records]:
        samples: list[SampleRow] = []
        rejected: list[ProcessingErrorRow] = []
        count = 0
        for item in self._waiting:
            if before_us is not None and item.received_us >= before_us:
                break
            count += 1
            if isinstance(item, CheckIn):
                if (row := self._sample(item)) is not None:
                    samples.append(row)
            # A rule that nobody asked for is left out without a word.
            elif (errors := self._upsert(item)) and isinstance(item, Control):
                rejected.append(rejection(item, errors))
        del self._waiting[:count]
        changed = self._changed_rules(before_us)
        rows = by_table(samples, rejected, changed)
        return [Records(self._group, rows)] if rows else []

    def _upsert(self, item: Control | RuleRequested) -> Errors | None:
        rules = self._rules.get(item.organization_id)
        if rules is None:
            rules = self._rules[item.organization_id] = OrganizationRules(self._base_rate)
        refused = rules.upsert(self._take_request(item), item.received_us)
        if isinstance(refused, TooManyRules):
            return [{"type": ErrorType.TOO_MANY_RULES, "reason": refused.reason}]
        return None

    def _sample(self, item: CheckIn) -> SampleRow | None:
        rules = self._rules.get(item.organization_id)
        if rules is None:
            rules = OrganizationRules(self._base_rate)
        guid = item.guid
        if guid == NIL_GUID:
            guid = identity.positioned_guid(item.topic, item.partition, item.offset)
        kept = rules.sample(_subject(item), guid, item.received_us)
        if kept is None:
            return None
        rule_id, rate = kept
        return SampleRow(
            check_in_id=guid,
            project_id=item.project_id,
            slug=item.slug,
            environment=item.environment,
            rule_id=rule_id,
            sample_rate=rate,
            received_at=item.received_us,
            payload=item.payload,
            topic=item.topic,
            partition=item.partition,
            offset=item.offset,
        )

    def _changed_rules(self, now_us: int | None) -> list[SamplingRuleRow]:
        rows: list[SamplingRuleRow] = []
        self._asked = {key: asked for key, asked in self._asked.items() if asked}
        self._watched = set(self._asked)
        for organization_id, rules in self._rules.items():
            if now_us is not None:
                rules.expire(now_us)
            rows.extend(_rule_row(organization_id, rule) for rule in rules.take_changed())
            if rules.any_active:
                self._watched.add(organization_id)
        self._rules = {key: rules for key, rules in self._rules.items() if not rules.is_empty}
        return rows


def _to_keep(item: CheckIn) -> CheckIn:
    """The check-in as it waits, and as snapshots hold it since the first release: with its payload, at most as much
    as a row holds."""
    payload = payload_of(item)
    if len(payload) > Limit.PAYLOAD_BYTES:
        # The item itself goes other ways too, where all of its payload is wanted.
        return msgspec.structs.replace(item, payload=payload_json(payload), is_line=False)
    item.payload, item.is_line = payload, False
    return item


def _place(item: Waiting) -> Place:
    return item.topic, item.partition, item.offset


def _rule_of(item: Control) -> RuleRequest:
    assert item.rule is not None
    return parse_rule(msgspec.json.decode(item.rule))


def _subject(item: CheckIn) -> Subject:
    return Subject(
        item.project_id,
        item.slug,
        item.environment,
        STATUS_NAMES[item.status],
        item.duration_ms,
        item.trace_id.hex() if item.trace_id is not None else None,
        item.sdk,
    )


def _rule_row(organization_id: int, rule: Rule) -> SamplingRuleRow:
    return SamplingRuleRow(
        organization_id=organization_id,
        rule_id=rule.rule_id,
        external_rule_id=rule.external_rule_id,
        project_ids=msgspec.json.encode(rule.project_ids),
        condition=rule.condition.encode("utf-8", "surrogatepass"),
        condition_hash=rule.condition_hash,
        start=rule.start_us,
        end=rule.end_us,
        num_samples=rule.num_samples,
        sample_rate=rule.sample_rate,
        kept=rule.kept,
        is_active=rule.is_active,
        is_org_level=rule.is_org_level,
        query=rule.query,
        created_by_id=rule.created_by_id,
        created_at=rule.created_us,
    )
