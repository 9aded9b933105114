"""What a question is: a query, what it may be given, and what its answer may be narrowed to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

Parameters = dict[str, Any]
"""What a query is given, by the names it has there."""


@dataclass(frozen=True)
class Narrowing:
    """What an answer is narrowed to; each by the column that the answer has for it."""

    project: int | None = None
    slug: str | None = None
    """A slug; `*` stands for any letters."""
    environment: str | None = None
    owner: str | None = None
    """`user:...` or `team:...`; `*` stands for any letters."""
    search: str | None = None
    """A part of the slug, the environment or the owner."""
    begin: datetime | None = None
    end: datetime | None = None

    def given(self) -> list[str]:
        """The names of what is narrowed by."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


_CONDITIONS = {
    "project": ("project_id", "project_id = $project"),
    "slug": ("slug", "slug GLOB $slug"),
    "environment": ("environment", "environment = $environment"),
    "owner": ("owner", "owner GLOB $owner"),
    "search": ("slug", "contains(lower(concat_ws(' ', {text})), lower($search))"),
}
"""For what an answer is narrowed by: the column that it must have, and the condition."""
_SEARCHED = ("slug", "environment", "owner")


class CannotNarrowError(Exception):
    """An answer has no column for what it should be narrowed by; the text is the option's name."""


class Question(NamedTuple):
    """A query, and what it may be given."""

    help: str
    query: str
    order: str = ""
    """What the rows are sorted by."""
    parameter: str | None = "[PROJECT/]SLUG"
    """What may follow the name; None: nothing."""
    is_required: bool = False
    flag: str | None = None
    """An option that narrows the answer: the query's $flag, whether it is given."""
    days: int | None = None
    """How far it looks back from the event clock: the query's $days unless --days says another number."""
    limit: int | None = None
    """Only the first rows."""
    moment: str | None = None
    """The column that --from and --to mean."""
    optional: tuple[str, ...] = ()
    """Columns that a narrow terminal may leave out, the first one first."""
    heading: tuple[str, ...] = ()
    """Columns that a terminal shows once, over the rows that have them in common."""
    takes_slug: bool = False
    """The query itself has $project and $slug."""

    @property
    def usage(self) -> str:
        """What may follow the name, as it is typed."""
        parameter = self.parameter and (self.parameter if self.is_required else f"[{self.parameter}]")
        flag = self.flag and f"[{self.flag}]"
        days = "[--days N]" if self.days else None
        period = "[--from TIME] [--to TIME]" if self.moment else None
        return " ".join(word for word in (parameter, flag, days, period) if word)

    def asked(
        self,
        columns: Collection[str],
        by: Narrowing,
        is_flagged: bool = False,
        days: int | None = None,
    ) -> tuple[str, Parameters]:
        """The statement and its parameters; `columns` are those of `query`. Raises CannotNarrowError."""
        given: Parameters = {name: getattr(by, name) for name in by.given()}
        conditions = []
        for name in given:
            if self.takes_slug and name in ("project", "slug"):
                continue
            column, condition = self._condition(name)
            if column not in columns:
                raise CannotNarrowError(name)
            text = ", ".join(each for each in _SEARCHED if each in columns)
            conditions.append(condition.format(text=text))
        if self.takes_slug:
            given = {"project": None, "slug": None} | given
        if self.flag:
            given["flag"] = is_flagged
        if self.days:
            given["days"] = days or self.days
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = f" ORDER BY {self.order}" if self.order else ""
        limit = f" LIMIT {self.limit}" if self.limit else ""
        return f"SELECT * FROM ({self.query}){where}{order}{limit}", given  # noqa: S608 - our own text

    def _condition(self, name: str) -> tuple[str, str]:
        if name in ("begin", "end"):
            if self.moment is None:
                raise CannotNarrowError({"begin": "from", "end": "to"}[name])
            return self.moment, f"{self.moment} >= $begin" if name == "begin" else f"{self.moment} < $end"
        return _CONDITIONS[name]
