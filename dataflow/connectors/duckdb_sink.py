"""The DuckDB sink: records to the state writer, one transaction an epoch, then history and the published snapshot."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bytewax.outputs import FixedPartitionedSink

from dataflow.connectors.background_writer import EpochPartition
from dataflow.connectors.notify_ledger import NotifyLedger
from dataflow.monitors.times import MINUTE_US, NO_MINUTE
from dataflow.operations.metrics import count_open_incidents, count_published, show_what_was_left
from dataflow.process.engine_output import silence_stdout
from dataflow.process.exit import FlowError, StartError
from dataflow.process.log import warn
from dataflow.process.stopping import stopping
from dataflow.settings import Settings
from dataflow.stream.items import Records
from state.errors import StateError
from state.history.history import History, Limits
from state.publish.publish import Published, Publisher
from state.publish.shared_publish import SharedPublisher
from state.publish.snapshot_views import SNAPSHOT
from state.schema.tables.silences import NotificationRow
from state.write.data_mark import DataMark, check_mark
from state.write.writer import StateWriter


def write_records(writer: StateWriter, records: Records) -> None:
    """Hand records to the writer of their shard."""
    writer.write(records.rows, records.deletes)
    if records.worked_off:
        work_off(writer, records.worked_off)


def work_off(writer: StateWriter, worked_off: dict[int, int]) -> None:
    """Tell a writer how far key groups are (`Records.worked_off`)."""
    writer.work_off(
        {group: None if minute == NO_MINUTE else minute * MINUTE_US for group, minute in worked_off.items()}
    )


class _ShardPartition(EpochPartition):
    """One shard: commits, moves history and publishes at the end of each epoch."""

    def __init__(self, settings: Settings, shard: int, bounded: bool, publishes: bool) -> None:
        self._publishes = publishes
        self._data_dir = settings.data_dir
        self._accepts_other_data = settings.accept_other_data
        self._bounded = bounded
        self._shard = shard
        self._in_epoch = False
        """Records were written that no snapshot covers yet."""
        self._sent_at = 0.0
        """When the newest positions of this epoch were sent to all shards; 0: none were."""
        shards = settings.state_shards
        limits = Limits(max(1, settings.history_hot_rows // shards), settings.retention)
        try:
            self._writer = StateWriter.open(self._data_dir, shard, shards, settings.key_groups)
            self._history = History(self._writer, self._data_dir, limits, time.time)
            self._publisher = _publisher(self._writer, settings)
            if not self._accepts_other_data:
                self._publisher.check_published()
        except StateError as error:
            raise StartError(str(error)) from None
        self._notified = NotifyLedger(self._data_dir) if shard == 0 and not bounded else None
        show_what_was_left(self._writer.connection, shard, self._data_dir / SNAPSHOT)

    def mark(self) -> DataMark:
        return self._writer.mark

    def work_off(self, worked_off: dict[int, int]) -> None:
        work_off(self._writer, worked_off)

    def check(self, mark: DataMark) -> None:
        if not self._accepts_other_data:
            try:
                check_mark(self._writer.path, self._writer.mark, mark, "the recovery store")
            except StateError as error:
                raise StartError(str(error)) from None

    def write_batch(self, items: list[Records]) -> None:
        self._in_epoch = True
        for records in items:
            write_records(self._writer, records)
            self._sent_at = max(self._sent_at, records.sent_at)

    def end_epoch(self, ended_at: float) -> None:
        self._in_epoch = False
        self._take_notifications()
        try:
            if is_changed := bool(self._writer.commit()):
                self._history.maintain(compacts=False)
            if self._publishes:
                self._published(self._publisher.publish_epoch(ended_at, self._sent_at))
            if (
                is_changed and not stopping()
            ):  # so that it and the checkpoint before a copy take memory in turn
                self._history.compact()
        except StateError as error:
            raise FlowError(str(error)) from None
        self._sent_at = 0.0

    def rest_due_in(self) -> float | None:
        return self._publisher.rest_due_in() if self._publishes else None

    def publish_rest(self) -> None:
        try:
            self._published(self._publisher.publish())
        except StateError as error:
            raise FlowError(str(error)) from None

    def _take_notifications(self) -> None:
        if self._notified is not None and (rows := self._notified.rows()):
            self._writer.write({NotificationRow.TABLE.name: rows})

    def _published(self, published: Published | None) -> None:
        if published is not None:
            count_published(published)
        shown = self._publisher.take_shown()
        if shown is not None:
            count_open_incidents(self._writer.connection, self._shard)
            self._history.clean_up(shown)

    def close(self) -> None:
        if self._in_epoch or not (self._bounded or stopping()):
            return  # not the end of the input, after which the engine takes a snapshot: another process died
        try:
            self._history.close()
            if self._publishes:
                self._publisher.publish(force=True, input_ended=not stopping())
            self._writer.close()
            if self._publishes and self._bounded and self._publisher.was_last and not stopping():
                _show_summary(self._data_dir)
        except StateError as error:
            raise FlowError(str(error)) from None


def _show_summary(data_dir: Path) -> None:
    """All is published: a full disk behind stdout, or a reader that left, changes nothing about that."""
    # Here, as it takes a tenth of a start, and a flow that goes on for ever needs nothing of it.
    from state.ask.summary import first_unreadable, print_summary, summarize

    try:
        print_summary(summarize(data_dir), data_dir, first_unreadable(data_dir))
        sys.stdout.flush()
    except OSError as error:
        silence_stdout()
        if not isinstance(error, BrokenPipeError):
            warn("summary", text=f"cronwax: the summary cannot be printed: {error.strerror}")


def _publisher(writer: StateWriter, settings: Settings) -> Publisher:
    if writer.shards == 1:
        return Publisher(writer, settings.data_dir, settings.publish_interval, time.time)
    return SharedPublisher(writer, settings.data_dir, settings.publish_interval)


class TablesSink(FixedPartitionedSink[Records, None]):
    """Writes records to the shards of the state. Its snapshots hold nothing: rows are idempotent by identity.

    The engine asks for a snapshot at the end of every epoch, recovery or not: that is when the transaction is
    committed, so that what analysts see is complete as of an epoch. The end of a bounded input is followed by
    the totals; the other kind ends only when somebody asks for it.
    """

    def __init__(self, settings: Settings, bounded: bool, publishes: bool = True) -> None:
        """`publishes`: whether there is a snapshot for readers."""
        self._settings = settings
        self._bounded = bounded
        self._publishes = publishes

    def list_parts(self) -> list[str]:
        """All shards: the data folder is shared by all processes."""
        return [str(shard) for shard in range(self._settings.state_shards)]

    def part_fn(self, item_key: str) -> int:
        """Shards are keys."""
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _ShardPartition:
        """Open a shard. Raises StartError if it cannot be."""
        return _ShardPartition(self._settings, int(for_part), self._bounded, self._publishes)
