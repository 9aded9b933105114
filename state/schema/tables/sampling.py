"""Sampling rules, and the payloads that they kept."""

from __future__ import annotations

from typing import Annotated, ClassVar

from state.schema.table import Id, Json, Row, Spec, TimeUs, Uuid


class SamplingRuleRow(Row, frozen=True, kw_only=True):
    """Rules that say which payloads are kept in check_in_samples."""

    TABLE: ClassVar = Spec("sampling_rules", identity=("organization_id", "rule_id", "created_at"))

    organization_id: Annotated[Id, "The organization that the rule belongs to."]
    rule_id: Annotated[
        int,
        "The rule's number within the organization, from 1; given again once the rule is inactive.",
    ]
    external_rule_id: Annotated[int, "3000 + rule_id."]
    project_ids: Annotated[Json, "List of the projects that it holds for; empty: all of the organization."]
    condition: Annotated[Json, "Which check-ins it matches."]
    condition_hash: Annotated[str, "Equal for conditions and projects that mean the same."]
    start: Annotated[TimeUs, "The rule holds from here."]
    end: Annotated[TimeUs, "The rule holds until just before."]
    num_samples: Annotated[int, "How many payloads to keep at most."]
    sample_rate: Annotated[float, "The share of matching check-ins to keep, 0 to 1."]
    kept: Annotated[int, "How many payloads it has kept."]
    is_active: Annotated[bool, "False once it has ended."]
    is_org_level: Annotated[bool, "True: it holds for all projects."]
    query: Annotated[str | None, "The condition as whoever made the rule wrote it."]
    created_by_id: Annotated[int | None, "The user who made it; NULL if Cronwax did."]
    created_at: Annotated[TimeUs, "When it was created (event time)."]


class SampleRow(Row, frozen=True, kw_only=True):
    """Payloads of check-ins that were kept whole."""

    TABLE: ClassVar = Spec(
        "check_in_samples",
        identity=("check_in_id", "topic", "partition", "offset"),
        retained_by="received_at",
    )

    check_in_id: Annotated[Uuid, "The check-in's guid."]
    project_id: Annotated[Id, "The project that the monitor belongs to."]
    slug: Annotated[str, "The monitor."]
    environment: Annotated[str, "The environment."]
    rule_id: Annotated[int | None, "The rule that kept it (sampling_rules.rule_id); NULL: the base rate did."]
    sample_rate: Annotated[float, "The rate at which it was kept, 0 to 1."]
    received_at: Annotated[TimeUs, "When the broker received it."]
    payload: Annotated[Json, "The payload as it came."]
    topic: Annotated[str, "Where the message was: topic, or file."]
    partition: Annotated[int, "Where the message was: partition."]
    offset: Annotated[int, "Where the message was: offset, or line of the file."]
