"""Rejected messages as rows of `processing_errors`."""

from __future__ import annotations

import msgspec

from dataflow.monitors import identity
from dataflow.monitors.check_in import CheckIn, Control, Errors
from dataflow.monitors.journal import Row
from dataflow.monitors.limits import cut_details, payload_text
from dataflow.wire.check_ins import payload_of

_encode = msgspec.json.encode


def rejection(item: CheckIn | Control, errors: Errors) -> Row:
    """The row for a message that was rejected, or accepted with a complaint."""
    guid = environment = None
    if isinstance(item, CheckIn):
        guid, environment = item.guid or None, item.environment
    else:
        environment = item.environment
    types = [str(error["type"]) for error in errors]
    return (
        identity.error_id(item.topic, item.partition, item.offset, types),
        item.received_us,
        types,
        _encode(cut_details(errors)),
        payload_text(payload_of(item)),
        item.project_id,
        item.slug or None,
        environment,
        guid,
        item.topic,
        item.partition,
        item.offset,
    )


def unread(
    topic: str, partition: int, offset: int, received_us: int | None, message: bytes, errors: Errors
) -> Row:
    """The row for bytes that could not be read as a message or a control."""
    types = [str(error["type"]) for error in errors]
    return (
        identity.error_id(topic, partition, offset, types),
        received_us,
        types,
        _encode(cut_details(errors)),
        payload_text(message),
        None,
        None,
        None,
        None,
        topic,
        partition,
        offset,
    )
