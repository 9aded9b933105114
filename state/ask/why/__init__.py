"""Why a monitor environment is in its state.

`facts` says what can be known, `reading` gets it from the tables (`queries`, `judged`, `due`, `patterns`), `sentences`
says it, and `answer` puts the sentences together.
"""

from __future__ import annotations

from state.ask.why.answer import COLUMNS as COLUMNS
from state.ask.why.answer import Sentence as Sentence
from state.ask.why.answer import as_text as as_text
from state.ask.why.answer import why as why
from state.ask.why.queries import reached_by as reached_by
