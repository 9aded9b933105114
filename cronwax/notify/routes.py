"""Routes: which targets are notified of what. Pure: the file that they come from is read by `routes_file`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from cronwax.notify.events import KINDS, Event, Kind

DEFAULT = "default"
"""The name of the route that takes what no other keeps for itself."""


class Subject(NamedTuple):
    """What a route looks at."""

    kind: Kind
    project_id: int | None = None
    """None: it is about no monitor, and a route that asks for one does not match."""
    slug: str = ""
    environment: str = ""
    owner: str | None = None

    @classmethod
    def of(cls, event: Event, kind: Kind | None = None) -> Subject:
        """That of an event; `kind`: another one than its own."""
        return cls(kind or event.kind, event.project_id, event.slug, event.environment, event.owner)


@dataclass(frozen=True)
class Route:
    """Matches if all that it names fits; what it does not name may be anything."""

    name: str
    targets: tuple[str, ...]
    projects: frozenset[int] | None = None
    slugs: tuple[str, ...] = ()
    """Globs, of which one must match, as in `environments` and `owners`."""
    environments: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    kinds: frozenset[Kind] = frozenset(KINDS)
    goes_on: bool = False
    """The routes after it are asked, too."""
    remind_after_ms: int | None = None

    def matches(self, subject: Subject) -> bool:
        """Whether this is for its targets."""
        if subject.kind not in self.kinds:
            return False
        if subject.project_id is None:
            return self.projects is None and not (self.slugs or self.environments or self.owners)
        return (
            (self.projects is None or subject.project_id in self.projects)
            and _any_fits(self.slugs, subject.slug)
            and _any_fits(self.environments, subject.environment)
            and _any_fits(self.owners, subject.owner)
        )


class Choice(NamedTuple):
    """A target that is notified, and the route that says so."""

    target: str
    route: Route


@dataclass(frozen=True)
class Routes:
    """The routes in their order; the default one is asked last, unless a route before has ended the search."""

    routes: tuple[Route, ...] = ()
    default: Route | None = None

    def choose(self, subject: Subject) -> list[Choice]:
        """Who is notified: the targets of the first route that matches, and of those after it while `goes_on` says so.
        Each target once, for the first route that names it."""
        found: dict[str, Route] = {}
        for route in self.all():
            if route.matches(subject):
                for target in route.targets:
                    found.setdefault(target, route)
                if not route.goes_on:
                    break
        return [Choice(target, route) for target, route in found.items()]

    def named(self, name: str) -> Route | None:
        """The route of a name."""
        return next((route for route in self.all() if route.name == name), None)

    def all(self) -> Iterable[Route]:
        """Every route, the default one last."""
        return (*self.routes, *((self.default,) if self.default is not None else ()))

    @property
    def ask_owner(self) -> bool:
        """Whether any route looks at the owner."""
        return any(route.owners for route in self.all())


def _any_fits(globs: Collection[str], text: str | None) -> bool:
    return not globs or (text is not None and any(fnmatchcase(text, glob) for glob in globs))
