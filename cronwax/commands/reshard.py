"""Splits a flow's tables into another number of shards: `cronwax reshard`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cronwax.commands.arguments import OneLineParser, path, whole_number
from state.program import program

if TYPE_CHECKING:
    from dataflow.settings import Settings

NAME = "reshard"


def parser() -> OneLineParser:
    """The command line."""
    top = OneLineParser(
        prog=f"{program()} {NAME}",
        description="Split the tables of the data folder, with their history, into another number of shards, and let "
        "the recovery store go on with them. The flow must have been stopped in order. Uses its CRONWAX_ settings; set "
        "CRONWAX_STATE_SHARDS to the new number afterwards.",
    )
    top.add_argument("-r", "--recovery-directory", metavar="DIR", type=path, required=True, help="the store")
    top.add_argument("shards", metavar="SHARDS", type=whole_number(1, 64), help="how many there shall be")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Split the tables; returns the exit status."""
    options = parser().parse_args(arguments)
    from dataflow.flow import FLOW_ID
    from dataflow.process.exit import StartError
    from dataflow.process.recovery_store import StoreError, hold_whole_store, read_store
    from dataflow.settings import Settings, SettingsError
    from state.errors import StateError

    try:
        settings = Settings.load()
        os.umask(int(settings.umask, 8))  # before anything is made
        read_store(options.recovery_directory, FLOW_ID)
        hold_whole_store(options.recovery_directory)
        return _reshard(settings, options.recovery_directory, options.shards)
    except (StateError, StoreError, SettingsError) as error:
        raise StartError(str(error)) from None


def _reshard(settings: Settings, store: Path, shards: int) -> int:
    from dataflow.process.recovery_store import forget
    from dataflow.rebuild import TABLES_STEP
    from state.publish import replacement
    from state.publish.remade import publish_all
    from state.publish.reshard import shards_of

    data_dir, began = settings.data_dir, time.monotonic()
    if not (is_finishing := replacement.is_begun(data_dir)):
        before = shards_of(data_dir)
        if before == shards:
            print(f"cronwax: {data_dir}: has {shards} already")
            return 0
        _make(settings, store, before, shards)
    replacement.check_command(data_dir, NAME)
    forget(store, TABLES_STEP)
    replacement.install(data_dir)
    made = shards_of(data_dir)
    publish_all(data_dir, made)
    replacement.finish(data_dir)
    print(
        f"cronwax: {data_dir}: {made} shard{'s' if made > 1 else ''} now, in {time.monotonic() - began:.1f} s"
        f"{' (finished what had been begun)' if is_finishing else ''}; set CRONWAX_STATE_SHARDS={made}"
    )
    return 0


def _make(settings: Settings, store: Path, before: int, shards: int) -> None:
    from dataflow.rebuild import monitor_home, organization_home, read_stored, write_what_is_left
    from state.publish import replacement
    from state.publish.remade import publish_all
    from state.publish.reshard import Homes, make_shards

    data_dir = settings.data_dir
    folder = replacement.begin(data_dir)
    try:
        write_what_is_left(settings, read_stored(store, folder / "store"), before)
        publish_all(data_dir, before)
        homes = Homes(shards, monitor_home(settings, shards), organization_home(settings, shards))
        make_shards(data_dir, folder, homes, settings.history_hot_rows)
        replacement.complete(data_dir, NAME)
    finally:
        replacement.give_up(data_dir)
