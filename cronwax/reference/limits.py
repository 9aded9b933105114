"""docs/reference/limits.md: how large whatever a message names may be."""

from __future__ import annotations

from cronwax.reference.markdown import MADE_BY, attribute_docstrings, table
from dataflow.monitors.limits import Limit

_HEAD = f"""\
# Limits of content

{MADE_BY}

No content of a message or control ends the flow or changes another monitor's outcome. What is larger than here is
rejected or cut where it is read. Limits on numbers of things (monitors, environments, check-ins a minute) are
[settings](settings.md); what a dead letter holds is `CRONWAX_DEAD_LETTER_MAX_BYTES`.
"""


def limits_page() -> str:
    """The whole page."""
    rows = [
        (f"`{name}`", f"{getattr(Limit, name):,}", meaning)
        for name, meaning in attribute_docstrings(Limit).items()
    ]
    return f"{_HEAD}\n{table(('limit', 'value', 'meaning'), rows)}\n"
