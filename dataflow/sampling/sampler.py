"""Which raw check-ins are kept whole (SPEC, section 9): the rules of a group of organizations, in event time.

What is decided depends on event time alone, not on how partitions interleave: requests for rules, and the check-ins
that any rule might want, wait until the watermark has passed their minute, and are then taken in order of (broker's
timestamp, topic, partition, offset).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.admission import RuleRequested
from dataflow.monitors.check_in import MINUTE_US, NIL_GUID, NO_MINUTE, STATUS_NAMES, CheckIn, Control, Errors
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import payload_json
from dataflow.sampling.conditions import Subject
from dataflow.sampling.rule_request import RuleRequest, new_monitor_rule, parse_rule
from dataflow.sampling.sampling_rules import OrganizationRules, Rule, RulesState, TooManyRules
from state.schema.tables.sampling import SampleRow, SamplingRuleRow

Waiting = CheckIn | Control | RuleRequested
Position = tuple[str, int, int]
"""Topic, partition, offset."""
Place = tuple[str, int, int, bool]
"""The position of what waits, and whether it is a check-in: a request for a rule has that of its check-in."""
NO_BOUND = 2**62
"""All there is."""


class SamplerState(msgspec.Struct, array_like=True):
    """What the rules go on from; how a snapshot holds it is in `steps.sample_state`."""

    minute: int = NO_MINUTE
    rules: dict[int, RulesState] = {}
    waiting: list[Waiting] = []


class Decided(NamedTuple):
    """What came of what the watermark has passed."""

    samples: list[SampleRow]
    rules: list[SamplingRuleRow]
    """Those that are new or changed."""
    rejected: list[tuple[Control, Errors]]
    applied: list[Control]
    """Controls that made or changed a rule."""


class Sampler:
    """A group of organizations, their sampling rules, and what waits for the watermark."""

    def __init__(
        self,
        base_rate: float,
        payload_of: Callable[[CheckIn], bytes],
        state: SamplerState | None = None,
    ) -> None:
        """`base_rate`: the share (0 to 1) of check-ins that is kept without any rule. `payload_of` finds the payload
        of a check-in as it came."""
        state = state or SamplerState()
        self._base_rate = base_rate
        self._payload_of = payload_of
        self._minute = state.minute
        self._rules = {
            organization_id: OrganizationRules.from_state(saved, base_rate)
            for organization_id, saved in state.rules.items()
        }
        self._waiting: list[Waiting] = []
        self._by_place: dict[Place, Waiting] = {}
        self._changed: dict[Place, bool] = {}
        """What began to wait since `take_changed` (True), or waits no longer (False)."""
        self._asked: dict[int, dict[Position, RuleRequest]] = {}
        """Per organization, what the controls that wait ask for."""
        self._configured: dict[tuple[int, str], int] = {}
        """For which monitors (project, slug) a rule is called for by what waits, and how often."""
        self._watched = {key for key, rules in self._rules.items() if rules.any_active}
        """The organizations that may want to keep a check-in, beside those of monitors for which a rule waits."""
        self.restore(state.waiting)

    def restore(self, waiting: Iterable[Waiting]) -> None:
        """Take over what waited, in any order, as a snapshot holds it."""
        for item in waiting:
            self._by_place[place_of(item)] = item
            if not isinstance(item, CheckIn):
                self._ask(item)
        self._waiting = sorted(self._by_place.values(), key=_order)

    def state(self) -> SamplerState:
        """What they would go on from now."""
        rules = {key: rules.to_state() for key, rules in self._rules.items()}
        return SamplerState(self._minute, rules, self._waiting)

    @property
    def waiting(self) -> Mapping[Place, Waiting]:
        """What waits, in no order to rely on."""
        return self._by_place

    def count_changed(self) -> int:
        """How much began to wait since `take_changed`, or waits no longer."""
        return len(self._changed)

    def take_changed(self) -> list[Place]:
        """The places of that."""
        changed, self._changed = list(self._changed), {}
        return changed

    def take_all(self, items: Iterable[object]) -> int:
        """Take in check-ins and requests for rules, in order. Of most check-ins the organization says enough; of how
        many it does not."""
        offered = 0
        configured, keeps_any = self._configured, self._base_rate > 0
        watched = self._watched
        for item in items:
            if type(item) is CheckIn:
                if keeps_any or configured or item.organization_id in watched:
                    self.offer(item)
                    offered += 1
            elif isinstance(item, Control | RuleRequested):
                self.request(item)
        return offered

    def offer(self, item: CheckIn) -> None:
        """Take in a check-in if any rule might want it."""
        if self._might_keep(item):
            payload = payload_json(self._payload_of(item))
            # A copy: other steps hold the check-in as well. Snapshots have always held the payload itself.
            self._wait(msgspec.structs.replace(item, payload=payload, is_line=False))

    def request(self, item: Control | RuleRequested) -> None:
        """Take in a request for a rule."""
        self._wait(item)
        self._ask(item)

    def advance(self, minute: int, at_most: int = NO_BOUND) -> Decided:
        """Decide on what the watermark has passed. It never goes back; NO_MINUTE leaves it where it is.

        No more than `at_most` check-ins and requests are taken, in order; while that leaves some, `is_behind`. What has
        not been taken waits as before, so it does not matter when the rest is.
        """
        self._minute = max(self._minute, minute)
        return self._decide(self._minute * MINUTE_US, at_most)

    @property
    def is_behind(self) -> bool:
        """Whether something that the watermark has passed is still to be decided on."""
        return bool(self._waiting) and self._waiting[0].received_us < self._minute * MINUTE_US

    def finish(self) -> Decided:
        """Decide on all there is: nothing will come any more."""
        return self._decide(None, NO_BOUND)

    def _ask(self, item: Control | RuleRequested) -> None:
        """Note a request that waits. Those of monitors are found by name: there may be very many at once."""
        if isinstance(item, RuleRequested):
            name = item.project_id, item.slug
            self._configured[name] = self._configured.get(name, 0) + 1
        else:
            self._asked.setdefault(item.organization_id, {})[_position(item)] = _rule_of(item)
            self._watched.add(item.organization_id)

    def _take_request(self, item: Control | RuleRequested) -> RuleRequest:
        """What a request asks for, which no longer waits."""
        if isinstance(item, Control):
            return self._asked[item.organization_id].pop(_position(item))
        name = item.project_id, item.slug
        self._configured[name] -= 1
        if not self._configured[name]:
            del self._configured[name]
        return new_monitor_rule(item.project_id, item.slug, item.received_us)

    def _wait(self, item: Waiting) -> None:
        waiting, place = self._waiting, place_of(item)
        self._by_place[place], self._changed[place] = item, True
        if not waiting or _order(waiting[-1]) <= _order(item):
            waiting.append(item)
        else:
            insort(waiting, item, key=_order)

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

    def _decide(self, before_us: int | None, at_most: int) -> Decided:
        decided = Decided([], [], [], [])
        count = 0
        is_done = True
        for item in self._waiting:
            if before_us is not None and item.received_us >= before_us:
                break
            if count == at_most:
                is_done = False
                break
            count += 1
            if isinstance(item, CheckIn):
                if (row := self._sample(item)) is not None:
                    decided.samples.append(row)
                continue
            errors = self._upsert(item)
            if not isinstance(item, Control):
                continue  # a rule that nobody asked for is left out without a word
            if errors:
                decided.rejected.append((item, errors))
            else:
                decided.applied.append(item)
        self._let_go(count)
        # Rules end in event time, as far as it is decided on: if they waited for the last piece, then with more
        # check-ins than one call decides on they would be asked for ever.
        self._take_changed_rules(before_us if is_done else self._waiting[0].received_us, decided.rules)
        return decided

    def _let_go(self, count: int) -> None:
        """So much of what waits, from the beginning on, waits no longer."""
        for place in map(place_of, self._waiting[:count]):
            self._by_place.pop(place, None)
            if self._changed.get(place):
                del self._changed[place]  # nobody knows of it
            else:
                self._changed[place] = False
        del self._waiting[:count]
        if not self._waiting:
            self._by_place = {}  # dictionaries do not shrink

    def _upsert(self, item: Control | RuleRequested) -> Errors | None:
        rules = self._rules.get(item.organization_id)
        if rules is None:
            rules = self._rules[item.organization_id] = OrganizationRules(self._base_rate)
        self._watched.add(item.organization_id)  # its check-ins that come before all is decided may be wanted
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
        return _sample_row(item, guid, *kept) if kept is not None else None

    def _take_changed_rules(self, now_us: int | None, rows: list[SamplingRuleRow]) -> None:
        self._asked = {key: asked for key, asked in self._asked.items() if asked}
        self._watched = set(self._asked)
        for organization_id, rules in self._rules.items():
            if now_us is not None:
                rules.expire(now_us)
            rows.extend(_rule_row(organization_id, rule) for rule in rules.take_changed())
            if rules.any_active:
                self._watched.add(organization_id)
        self._rules = {key: rules for key, rules in self._rules.items() if not rules.is_empty}


def place_of(item: Waiting) -> Place:
    """Where it was read, and what it is."""
    return item.topic, item.partition, item.offset, isinstance(item, CheckIn)


def _order(item: Waiting) -> tuple[int, str, int, int, bool]:
    """Event time, then position; a rule that a check-in calls for comes before that check-in."""
    return (item.received_us, item.topic, item.partition, item.offset, isinstance(item, CheckIn))


def _position(item: Waiting) -> Position:
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


def _sample_row(item: CheckIn, guid: bytes, rule_id: int | None, rate: float) -> SampleRow:
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
