"""Rejected messages as rows of `processing_errors`."""

from __future__ import annotations

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import CheckIn, Control, Errors
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.fields import slugify
from dataflow.monitors.limits import cut_details, payload_text
from dataflow.wire.check_ins import DroppedCheckIn, payload_of
from state.schema.tables.runs import ProcessingErrorRow

_encode = msgspec.json.encode


def rejection(item: CheckIn | Control, errors: Errors) -> ProcessingErrorRow:
    """The row for a message that was rejected, or accepted with a complaint."""
    guid = environment = sdk = None
    if isinstance(item, CheckIn):
        guid, environment, sdk = item.guid or None, item.environment, item.sdk
    else:
        environment = item.environment
    types = [str(error["type"]) for error in errors]
    return ProcessingErrorRow(
        error_id=identity.error_id(item.topic, item.partition, item.offset, types),
        received_at=item.received_us,
        error_types=types,
        errors=_encode(cut_details(errors)),
        payload=payload_text(payload_of(item)),
        project_id=item.project_id,
        slug=item.slug or None,
        environment=environment,
        check_in_id=guid,
        topic=item.topic,
        partition=item.partition,
        offset=item.offset,
        sdk=sdk,
    )


def dropped(
    topic: str, partition: int, offset: int, received_us: int | None, drop: DroppedCheckIn
) -> ProcessingErrorRow:
    """The row for what the intake could not take."""
    types = [str(ErrorType.CHECKIN_DROPPED)]
    return ProcessingErrorRow(
        error_id=identity.error_id(topic, partition, offset, types),
        received_at=received_us,
        error_types=types,
        errors=_encode(cut_details([{"type": types[0], "reason": drop.reason}])),
        payload=payload_text(drop.payload),
        project_id=drop.project_id,
        slug=slugify(drop.slug or "") or None,
        environment=None,
        check_in_id=None,
        topic=topic,
        partition=partition,
        offset=offset,
        sdk=drop.sdk,
    )


def unread(
    topic: str, partition: int, offset: int, received_us: int | None, message: bytes, errors: Errors
) -> ProcessingErrorRow:
    """The row for bytes that could not be read as a message or a control."""
    types = [str(error["type"]) for error in errors]
    return ProcessingErrorRow(
        error_id=identity.error_id(topic, partition, offset, types),
        received_at=received_us,
        error_types=types,
        errors=_encode(cut_details(errors)),
        payload=payload_text(message),
        project_id=None,
        slug=None,
        environment=None,
        check_in_id=None,
        topic=topic,
        partition=partition,
        offset=offset,
        sdk=None,
    )
