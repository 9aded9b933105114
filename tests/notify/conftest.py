"""Servers that are notified, and places for the notifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.notify.places import Place
from tests.notify.receivers import MailServer, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    """Makes several."""
    made: list[Receiver] = []

    def make(*given) -> Receiver:
        made.append(Receiver(*given))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    found = MailServer()
    yield found
    found.close()


@pytest.fixture
def places(tmp_path) -> Iterator[Callable[..., Place]]:
    """Makes folders for notifiers."""
    made: list[Place] = []

    def make(**others: object) -> Place:
        made.append(Place(tmp_path / f"place-{len(made)}", **others))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def place(places: Callable[..., Place]) -> Place:
    return places()
