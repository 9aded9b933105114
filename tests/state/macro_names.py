"""Every name that a macro uses inside, as the name of its caller's column and table.

DuckDB pastes a macro's arguments into its text. `python tests/state/macro_names.py FILE` tries all of it on a published
file with the DuckDB that the interpreter has; nothing but that package is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import duckdb

FROM, TO = "'2025-03-01 00:00:00+00'::TIMESTAMPTZ", "'2025-03-05 12:00:00+00'::TIMESTAMPTZ"
HOURS = ["'UTC'", "'09:00'", "'17:00'"]
CALLS: dict[str, list[str]] = {
    "timeline": ["1", "'backup'", FROM, TO],
    "uptime": [FROM, TO],
    "uptime_in_hours": [FROM, TO, *HOURS],
    "working_hours": [FROM, TO, *HOURS],
    "durations": [FROM, TO],
    "lateness": [FROM, TO],
    "crontab_day_parts": ["'2025-03-01'::DATE", "3"],
    "crontab_days": ["'2025-03-01'::DATE", "3"],
}
"""Each macro with arguments that has a FROM, and arguments that give it something to say."""
_NAMED = ("key", "alias", "table_name", "function_name", "column_names", "column_name_alias")
"""Where parsed SQL has names."""
RESULT = "count(*) AS found, coalesce(sum(hash(told)), 0) AS told"


def names_in(connection: duckdb.DuckDBPyConnection, macro: str) -> list[str]:
    """The names that the parsed text of a macro holds: columns, tables, aliases, CTEs, functions."""
    ((text,),) = connection.execute(
        "SELECT macro_definition FROM duckdb_functions() WHERE function_name = ? AND NOT internal", [macro]
    ).fetchall()
    ((parsed,),) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    names = {name.lower() for name in _texts(json.loads(parsed)) if name.replace("_", "a").isalnum()}
    return sorted(name for name in names if not name.startswith("cronwax_") and not name[0].isdigit())


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _NAMED or not isinstance(value, str):
                yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str) and node:
        yield node


def forms(macro: str, place: int, name: str) -> dict[str, str]:
    """Queries that all ask what the macro says to its usual arguments; that at `place` comes from the caller."""
    given = CALLS[macro][place]

    def call(argument: str) -> str:
        return f"{macro}({', '.join([*CALLS[macro][:place], argument, *CALLS[macro][place + 1 :]])})"

    return {
        "a column, in a lateral join": (
            f'SELECT {RESULT} FROM (SELECT {given} AS "{name}") AS cronwax_caller, {call(quoted(name))} AS told'
        ),
        "a table, in a lateral join": (
            f'SELECT {RESULT} FROM (SELECT {given} AS cronwax_value) AS "{name}",'
            f" {call(quoted(name) + '.cronwax_value')} AS told"
        ),
        "a column, in a correlated subquery": (
            f"SELECT (SELECT count(*) FROM {call(quoted(name))} AS told), (SELECT coalesce(sum(hash(told)), 0)"
            f' FROM {call(quoted(name))} AS told) FROM (SELECT {given} AS "{name}") AS cronwax_caller'
        ),
    }


def quoted(name: str) -> str:
    """A name as SQL."""
    return f'"{name}"'


def wrong_answers(connection: duckdb.DuckDBPyConnection, macro: str, is_thorough: bool) -> list[str]:
    """What goes wrong, a line each. Thorough: each name in each form in the place of each argument; else each once, in
    turn."""
    ((*expected,),) = connection.execute(
        f"SELECT {RESULT} FROM {macro}({', '.join(CALLS[macro])}) AS told"
    ).fetchall()
    assert expected[0], f"{macro} has nothing to say"
    wrong = []
    places = range(len(CALLS[macro]))
    for number, name in enumerate(names_in(connection, macro)):
        for place in places if is_thorough else [number % len(places)]:
            tried = list(forms(macro, place, name).items())
            for form, query in tried if is_thorough else [tried[number % len(tried)]]:
                try:
                    ((*found,),) = connection.execute(query).fetchall()
                except duckdb.Error as error:
                    found = [str(error).splitlines()[0]]
                if found != expected:
                    wrong.append(
                        f"{macro}, argument {place + 1} from {name} as {form}: {found} and not {expected}"
                    )
    return wrong


def main(path: str) -> int:
    """All names in the place of all arguments; the exit status."""
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for schema, view in connection.execute(
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall():
            connection.execute(f"FROM {schema}.{view}").fetchall()
        wrong = [line for macro in CALLS for line in wrong_answers(connection, macro, True)]
    print(f"DuckDB {duckdb.__version__}: {len(wrong)} wrong", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
