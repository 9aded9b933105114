"""Which commands there are, and where each one is."""

from __future__ import annotations

from typing import NamedTuple

from state.ask.questions import QUESTIONS


class Command(NamedTuple):
    """Where a command is: a module with `main(arguments) -> int` and `parser()`."""

    module: str
    is_flow: bool = False
    """It runs the flow, which turns what goes wrong into one line by itself."""
    keeps_ctrl_c: bool = False
    """It takes SIGINT by itself; others end at once, with one line."""


COMMANDS = {
    "demo": Command("cronwax.commands.demo", is_flow=True),
    "run": Command("cronwax.commands.run", is_flow=True),
    "serve": Command("cronwax.commands.serve"),
    "intake": Command("cronwax.commands.intake"),
    "notify": Command("cronwax.commands.notify"),
    "project": Command("cronwax.commands.project"),
    "recovery": Command("cronwax.commands.recovery"),
    "repair": Command("cronwax.commands.repair", keeps_ctrl_c=True),
    "reshard": Command("cronwax.commands.reshard"),
    "sql": Command("cronwax.commands.sql", keeps_ctrl_c=True),
    "health": Command("cronwax.commands.health"),
    "report": Command("cronwax.commands.report"),
    "send": Command("cronwax.commands.send", keeps_ctrl_c=True),
    "tail": Command("cronwax.commands.tail", keeps_ctrl_c=True),
    "kafka": Command("cronwax.commands.kafka", keeps_ctrl_c=True),
    "bench": Command("cronwax.commands.bench", keeps_ctrl_c=True),
    "completion": Command("cronwax.commands.completion"),
}
"""By name, in the order of the list."""


def question_names() -> list[str]:
    """The questions that can be typed without `sql`."""
    return [*QUESTIONS, "why"]
