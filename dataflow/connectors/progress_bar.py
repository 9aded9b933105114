"""The bar that a terminal shows of a bounded source."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class _Terminal(Console):
    """A console that leaves the cursor alone: a process that fails ends at once and could not bring it
    back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


def new_bar(stream: TextIO) -> Bar:
    """A bar on this stream; nothing of it is shown yet."""
    return Bar(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=_Terminal(file=stream),
        auto_refresh=False,
    )
