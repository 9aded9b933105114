"""docs/reference/errors.md: every reason for which a message is rejected."""

from __future__ import annotations

from cronwax.reference.markdown import MADE_BY, attribute_docstrings, table
from dataflow.monitors.errors import SENTRY_NUMBERS, ErrorType

_HEAD = f"""\
# Processing errors

{MADE_BY}

A message that is rejected is one row in the table `processing_errors`, with all its error types. Sentry's number is
given where Sentry has the type, too.
"""


def errors_page() -> str:
    """The whole page."""
    meanings = attribute_docstrings(ErrorType)
    rows = [
        (f"`{kind}`", str(SENTRY_NUMBERS[kind]) if kind in SENTRY_NUMBERS else "", meanings[kind.name])
        for kind in ErrorType
    ]
    return f"{_HEAD}\n{table(('type', 'Sentry', 'meaning'), rows)}\n"
