"""Decode: source batches to chunks for the gate. Stateless; keeps the order of a partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat

import msgspec
from msgspec import UNSET

from dataflow.monitors.check_in import MINUTE_US, NO_MINUTE, CheckIn, Control, source_of
from dataflow.monitors.errors import ErrorType
from dataflow.monitors.limits import cut_text
from dataflow.monitors.times import NO_TIME
from dataflow.steps.processing_error_rows import dropped, unread
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.items import END_OF_TIME, Chunk, DeadLetter, Item, Reading, Records
from dataflow.stream.key_groups import organization_group
from dataflow.stream.partition_clock import BEHIND_US, EARLIEST_US, PartitionClock
from dataflow.stream.timeline import timeline_of
from dataflow.wire.check_ins import CheckInDecoder, DroppedCheckIn, MalformedMessage, Place
from dataflow.wire.controls import ControlDecoder, InvalidControl
from dataflow.wire.line import decode_line
from state.schema.catalogue import by_table
from state.schema.tables.internal import PartitionRow
from state.schema.tables.runs import ProcessingErrorRow

Output = Chunk | Records | DeadLetter


class Decode:
    """Turns batches into chunks by the gate's key groups, each with the clock that holds after it.

    What is not a message becomes a dead letter and a processing error; an invalid control a processing error, and so
    does what the intake has dropped.
    """

    def __init__(
        self,
        projects: dict[int, int],
        gate_groups: int,
        clock_delay_us: int = 0,
        puts_in_order: bool = False,
    ) -> None:
        """`puts_in_order`: the gate puts the partitions in order, and wants to know how far each has been read."""
        self._puts_in_order = puts_in_order
        self._check_ins = CheckInDecoder(projects)
        self._controls = ControlDecoder(projects)
        self._groups = gate_groups
        self._clock_delay_us = clock_delay_us
        self._readers: dict[int, Callable[[bytes, Place], CheckIn | Control | None]] = {
            Format.LINES: self._line,
            Format.MSGPACK: self._check_ins.packed,
            Format.CONTROLS: self._controls.decode,
        }

    def __call__(self, batches: Sequence[SourceBatch]) -> list[Output]:
        """The engine's call."""
        out: list[Output] = []
        for batch in batches:
            self._batch(batch, out)
        return out

    def _batch(self, batch: SourceBatch, out: list[Output]) -> None:
        by_group: list[list[Item]] = [[] for _ in range(self._groups)]
        errors: list[ProcessingErrorRow] = []
        if batch.check_ins and None not in batch.check_ins:
            self._sort(batch.check_ins, by_group)
        else:
            self._read(batch, by_group, errors, out)
        self._emit(batch, by_group, out)
        if not _is_only_a_reading(batch):
            out.append(_progress(batch, errors))

    def _sort(self, check_ins: Iterable[CheckIn | None], by_group: list[list[Item]]) -> None:
        """Where the source has read every message, as it mostly has."""
        groups = self._groups
        for check_in in check_ins:
            by_group[organization_group(check_in.organization_id, groups)].append(check_in)  # type: ignore[union-attr, arg-type]

    def _read(
        self,
        batch: SourceBatch,
        by_group: list[list[Item]],
        errors: list[ProcessingErrorRow],
        out: list[Output],
    ) -> None:
        read = self._readers[batch.format]
        topic, partition, groups = batch.topic, batch.partition, self._groups
        source = source_of(topic, partition)
        clock, is_clocked = PartitionClock(batch.clock_before, self._clock_delay_us), batch.origin >= 0
        known = batch.check_ins or repeat(None)
        for (offset, received_us, message), check_in in zip(batch.messages, known, strict=False):
            try:
                item: CheckIn | Control | None = check_in
                if check_in is None:
                    if received_us is None:
                        raise MalformedMessage(_without_time(message, batch.format))
                    item = read(message, Place(topic, partition, offset, received_us, clock.minute, source))
            except MalformedMessage as problem:
                reason = cut_text(str(problem))
                error = {"type": ErrorType.MALFORMED_MESSAGE, "reason": reason}
                known_us = received_us if received_us is not None else clock.time_us
                errors.append(unread(topic, partition, offset, known_us, message, [error]))
                out.append(DeadLetter(topic, partition, offset, reason, message))
            except DroppedCheckIn as drop:
                errors.append(dropped(topic, partition, offset, received_us, drop))
            except InvalidControl as problem:
                errors.append(unread(topic, partition, offset, received_us, message, problem.errors))
            else:
                if item is not None:
                    by_group[organization_group(item.organization_id, groups)].append(item)
            if is_clocked:
                clock.take(received_us)

    def _emit(self, batch: SourceBatch, by_group: list[list[Item]], out: list[Output]) -> None:
        if batch.untrue:
            _start_with_the_clock(by_group, set(batch.untrue))
        mark = batch.clock_after if batch.clock_after > batch.clock_before else NO_MINUTE
        if batch.ended and batch.clock_after == NO_MINUTE:
            mark = END_OF_TIME
        if self._puts_in_order:
            self._emit_in_order(batch, by_group, mark, out)
            return
        for group, items in enumerate(by_group):
            if items or mark != NO_MINUTE or batch.ended:
                out.append(Chunk(batch.origin, group, items, mark, is_last=batch.ended))

    def _emit_in_order(
        self, batch: SourceBatch, by_group: list[list[Item]], mark: int, out: list[Output]
    ) -> None:
        """Say to every group how far the partition has been read, and when its clock moved."""
        line = timeline_of(batch, self._clock_delay_us, mark)
        if not (batch.messages or line.marks or line.read_us != NO_TIME or batch.ended):
            return
        may_be_controls = batch.format != Format.MSGPACK
        for group, items in enumerate(by_group):
            controls = []
            if items and may_be_controls:
                controls = [place for place, item in enumerate(items) if type(item) is Control]
            late = line.late if items else {}
            reading = Reading(controls, late, line.marks, line.newest_us, line.read_us)
            out.append(Chunk(batch.origin, group, items, mark, reading, batch.ended))

    def _line(self, message: bytes, place: Place) -> CheckIn | Control | None:
        try:
            line = decode_line(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(_placed(error)) from None
        if line.message is not UNSET:
            return self._check_ins.unpacked(line.message, place)
        if line.control is not UNSET:
            return self._controls.decode(bytes(line.control), place)
        raise MalformedMessage("neither message nor control")


def _without_time(message: bytes, format_: int) -> str:
    """Why a message has no time that can be read: as a line, its text may be no JSON at all."""
    if format_ != Format.LINES:
        return "no broker timestamp"
    try:
        decode_line(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _placed(error)
    return "ts is missing or not a time"


def _placed(error: Exception) -> str:
    """What is wrong in a line, and where: msgspec names the place of all but the outermost value."""
    if isinstance(error, msgspec.ValidationError) and " - at `" not in str(error):
        return f"the line as a whole: {error}"
    return str(error)


def _start_with_the_clock(by_group: list[list[Item]], untrue: set[int]) -> None:
    """Whoever stamped these messages had a wrong clock: a start that cannot be true either is when they count.

    Else it would set a deadline that is long past.
    """
    for item in chain.from_iterable(by_group):
        if type(item) is CheckIn and item.offset in untrue:
            floor_us = max(item.received_us - BEHIND_US, EARLIEST_US)
            if item.start_us < floor_us:
                item.start_us = item.received_us


def _is_only_a_reading(batch: SourceBatch) -> bool:
    """Whether all that a batch says is how far its partition has been read, or that it is there: nothing for the
    tables."""
    is_unread = batch.position == 0 and batch.clock_after == NO_MINUTE
    is_news = batch.messages or batch.clock_after != batch.clock_before or (batch.ended and not is_unread)
    return not is_news and (batch.read_us != NO_TIME or is_unread)


def _progress(batch: SourceBatch, errors: list[ProcessingErrorRow]) -> Records:
    clock = batch.clock_after * MINUTE_US if batch.clock_after != NO_MINUTE else None
    position = PartitionRow(
        topic=batch.topic, partition=batch.partition, position=batch.position, clock=clock
    )
    return Records(max(batch.origin, 0), by_table([position], errors))
