"""Makes lost or older tables again from the inputs: `cronwax repair`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cronwax.commands.arguments import OneLineParser, complain, path
from state.program import program

if TYPE_CHECKING:
    from dataflow.rebuild import Stored
    from dataflow.settings import Settings
    from state.write.data_mark import DataMark


NAME = "repair"


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} repair",
        description="Make the tables of the data folder again, where a file of them is lost, damaged or older than "
        "the recovery store: the inputs are read from their beginning to where the store stands, with the flow's own "
        "CRONWAX_ settings. If they do not hold everything any more, the tables are made of the published snapshot, "
        "where it is as far as the store; else it is refused with one line. Nothing is sent, and the store is only "
        "read. The flow must be stopped.",
    )
    top.add_argument("-r", "--recovery-directory", metavar="DIR", type=path, required=True, help="the store")
    top.add_argument("--force", action="store_true", help="also where nothing is known to be missing")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Repair the data folder; returns the exit status."""
    options = parser().parse_args(arguments)
    from dataflow.process.exit import StartError
    from dataflow.process.recovery_store import hold_whole_store
    from dataflow.process.stopping import watch_signals
    from dataflow.settings import Settings, SettingsError
    from state.errors import StateError

    watch_signals()
    try:
        settings = Settings.load()
        os.umask(int(settings.umask, 8))  # before anything is made
        _check_store(options.recovery_directory)
        hold_whole_store(options.recovery_directory)
        return _repair(settings, options.recovery_directory, options.force)
    except (StateError, SettingsError) as error:
        raise StartError(str(error)) from None


def _check_store(store: Path) -> None:
    from dataflow.flow import FLOW_ID
    from dataflow.process.recovery_store import read_store

    read_store(store, FLOW_ID)


def _repair(settings: Settings, store: Path, force: bool) -> int:
    from dataflow.process.stopping import stopping
    from dataflow.rebuild import NotHeldError, read_stored, replay
    from state.publish import replacement

    data_dir, began = settings.data_dir, time.monotonic()
    replacement.check_command(data_dir, NAME)
    if replacement.is_begun(data_dir):  # what an earlier call had completed
        _put_in_place(settings)
    folder = replacement.begin(data_dir)
    try:
        stored = read_stored(store, folder / "store")
        wanted = {shard: _wanted(data_dir, shard, stored) for shard in range(settings.state_shards)}
        if not (missing := _missing(settings, wanted)) and not force:
            print(f"cronwax: {data_dir}: nothing is missing; the tables are as far as the recovery store")
            return 0
        for line in missing:
            complain(line)
        try:
            replay(settings, store, stored, folder)
        except NotHeldError as error:
            _copy_published(settings, stored, folder, str(error))
        if stopping():
            complain("stopped; nothing was changed")
            return 1
        _finish(settings, wanted)
    finally:
        replacement.give_up(data_dir)
    print(f"cronwax: {data_dir}: {_rows(data_dir)}, made again in {time.monotonic() - began:.1f} s")
    return 0


def _copy_published(settings: Settings, stored: Stored, folder: Path, why: str) -> None:
    """Make the tables of the published snapshot, if it holds all that the store takes for written. `why` the inputs do
    not do. Raises StartError where it does not."""
    from dataflow.process.exit import StartError
    from dataflow.rebuild import monitor_home, organization_home
    from state.publish.reshard import Homes, make_shards
    from state.publish.snapshot_views import SNAPSHOT

    snapshot, shards = settings.data_dir / SNAPSHOT, settings.state_shards
    for shard in range(shards):
        if lacks := lack(settings.data_dir, shard, stored):
            raise StartError(
                f"{why}; {snapshot}: {lacks}. Restore store and data folder of one backup, or go on without the rows "
                "in between: put the newest file that there is in its place, and set CRONWAX_ACCEPT_OTHER_DATA=true"
            )
    complain(
        f"{why}; {snapshot} holds all that the recovery store takes for written: the tables are made of it"
    )
    homes = Homes(shards, monitor_home(settings, shards), organization_home(settings, shards))
    make_shards(settings.data_dir, folder, homes, settings.history_hot_rows)


def lack(data_dir: Path, shard: int, stored: Stored) -> str | None:
    """What the published snapshot lacks of a shard's rows; None: nothing."""
    from state.publish.remade import published_mark_of

    known, published = stored.marks.get(shard), published_mark_of(data_dir, shard)
    if published is None:
        return "cannot be read, or is not there"
    if known is None or published.data_id != known.data_id:
        return f"is not of the file of shard {shard} that the recovery store belongs to"
    if published.commits < known.commits:
        return f"is older than the recovery store: {published.commits} commits of {known.commits}"
    return None


def _finish(settings: Settings, wanted: dict[int, DataMark | None]) -> None:
    from state.publish import replacement
    from state.publish.remade import set_mark
    from state.publish.replacement import unfinished
    from state.write.writer import StateWriter

    folder = unfinished(settings.data_dir)
    for shard, mark in wanted.items():
        StateWriter.open(folder, shard, len(wanted)).close()  # of which nothing may have been read yet
        if mark is not None:
            set_mark(folder, shard, mark)
    replacement.complete(settings.data_dir, NAME)
    _put_in_place(settings)


def _put_in_place(settings: Settings) -> None:
    from state.publish import replacement
    from state.publish.remade import publish_all

    replacement.install(settings.data_dir)
    publish_all(settings.data_dir, settings.state_shards)
    replacement.finish(settings.data_dir)


def _wanted(data_dir: Path, shard: int, stored: Stored) -> DataMark | None:
    """By which mark store and published snapshot know a shard's file."""
    from state.publish.remade import published_mark_of

    published, known = published_mark_of(data_dir, shard), stored.marks.get(shard)
    if known is None:
        return published
    if published is not None and published.data_id == known.data_id:
        return known._replace(commits=max(known.commits, published.commits))
    return known


def _missing(settings: Settings, wanted: dict[int, DataMark | None]) -> list[str]:
    from state.publish.remade import mark_of
    from state.schema.database import shard_path

    said = []
    for shard, mark in wanted.items():
        file = shard_path(settings.data_dir, shard)
        found = mark_of(file, shard)
        if found is None:
            said.append(f"{file}: {'cannot be read' if file.exists() else 'is not there'}")
        elif mark is not None and found.data_id != mark.data_id:
            said.append(f"{file}: is not the file that the recovery store belongs to")
        elif mark is not None and found.commits < mark.commits:
            said.append(
                f"{file}: is older: {found.commits} commits were made to it, {mark.commits} are known"
            )
    return said


def _rows(data_dir: Path) -> str:
    from state.publish.snapshot import open_snapshot

    with open_snapshot(data_dir) as connection:
        ((check_ins, monitors),) = connection.execute(
            "SELECT (SELECT count(*) FROM check_ins), (SELECT count(*) FROM monitors)"
        ).fetchall()
    return f"{check_ins:,} check-ins of {monitors:,} monitors"
