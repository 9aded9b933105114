"""Text for a terminal: nothing in it moves the cursor, sets a colour or turns the direction of writing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_GAP = 2
"""Spaces between two columns."""
_PROSE_LETTERS = 24
"""A column with a longer text of several words is prose: it may be wrapped."""
_PROSE_WIDTH = 24
"""A column of prose is not made narrower than this."""
_STYLES = {"ok": "green", "error": "bold red", "missed": "red", "timeout": "red", "disabled": "dim"}


def clean(value: str) -> str:
    """A text as one line that a terminal shows as it is; control and format characters as escapes such as \\x1b."""
    if value.isprintable():
        return value
    return "".join(each if each.isprintable() else _escaped(each) for each in value)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    optional: Sequence[str] = (),
    headings: Sequence[str] = (),
) -> list[str]:
    """Show rows as wide as the terminal is: as a table with whole values, without optional columns where there is no
    room for them, with prose wrapped, or as records. Returns the columns that were left out.

    `headings`, one a row, are shown where they change.
    """
    shown = list(range(len(columns)))
    left_out: list[str] = []
    widths = [
        max((cell_len(cell) for cell in (name, *(row[at] for row in rows))), default=0)
        for at, name in enumerate(columns)
    ]
    prose = {at for at in shown if any(_is_prose(row[at]) for row in rows)}
    for name in (None, *optional):
        if name is not None and name in columns:
            shown.remove(columns.index(name))
            left_out.append(name)
        if (fitted := _fit(shown, widths, prose, console.width)) is not None:
            _print_columns(console, columns, rows, shown, fitted, headings)
            return left_out
    print_records(console, columns, rows)
    return []


def print_records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show each row as lines of name and value."""
    margin = max((cell_len(name) for name in columns), default=0) + _GAP
    width = max(20, console.width - margin)
    for number, row in enumerate(rows, 1):
        console.print(Text(f"-- {number} --", "dim"))
        for name, cell in zip(columns, row, strict=True):
            lines = textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""]
            text = Text.assemble(f"{name:{margin}}", (lines[0], _STYLES.get(cell, "")))
            for line in lines[1:]:
                text.append(f"\n{'':{margin}}{line}")
            console.print(text, soft_wrap=True)


def wrapped(sentence: str, width: int) -> str:
    """A sentence in lines, at its words; indented lines stay indented, the rest by two spaces more."""
    indent = sentence[: len(sentence) - len(sentence.lstrip())]
    return textwrap.fill(
        sentence.strip(),
        max(20, width),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _is_prose(cell: str) -> bool:
    return len(cell) > _PROSE_LETTERS and cell.count(" ") > 2


def _fit(shown: list[int], widths: list[int], prose: set[int], room: int) -> dict[int, int] | None:
    """The widths of the columns, or None if they do not fit: what is not prose is shown whole."""
    fixed = sum(widths[at] for at in shown if at not in prose) + _GAP * max(0, len(shown) - 1)
    wide = [at for at in shown if at in prose]
    left = room - fixed
    if sum(widths[at] for at in wide) <= left:
        return {at: widths[at] for at in shown}
    fitted = {at: widths[at] for at in shown}
    for count, at in enumerate(sorted(wide, key=lambda at: widths[at])):
        share = left // (len(wide) - count)
        if share < min(_PROSE_WIDTH, widths[at]):
            return None
        fitted[at] = min(share, widths[at])
        left -= fitted[at]
    return fitted if left >= 0 else None


def _print_columns(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    shown: list[int],
    fitted: dict[int, int],
    headings: Sequence[str],
) -> None:
    rule = "-" if console.options.ascii_only else "\u2500"
    _print_line(console, [(columns[at], fitted[at], "bold") for at in shown])
    console.print(
        Text(rule * (sum(fitted[at] for at in shown) + _GAP * (len(shown) - 1)), "dim"), soft_wrap=True
    )
    before = ""
    for number, row in enumerate(rows):
        if headings and headings[number] != before:
            before = headings[number]
            console.print(Text(f"{rule * 2} {before}" if before else rule * 2, "bold"), soft_wrap=True)
        lines = [
            [row[at]] if cell_len(row[at]) <= fitted[at] else _words(row[at], fitted[at]) for at in shown
        ]
        for line in range(max((len(each) for each in lines), default=0)):
            _print_line(
                console,
                [
                    (each[line] if line < len(each) else "", fitted[at], _STYLES.get(row[at], ""))
                    for at, each in zip(shown, lines, strict=True)
                ],
            )


def _words(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, width) or [""]


def _print_line(console: Console, cells: Sequence[tuple[str, int, str]]) -> None:
    line = Text()
    for number, (cell, width, style) in enumerate(cells):
        line.append(cell, style)
        if number < len(cells) - 1:
            line.append(" " * (width - cell_len(cell) + _GAP))
    console.print(line, soft_wrap=True)
