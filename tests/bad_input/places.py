"""A folder for one case, and how a run in it ended."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from tests.builders import HOURLY, check_in
from tests.processes import settings, write_jsonl

GOOD = [check_in(60 * n, "nightly", number=n + 1, config=HOURLY) for n in range(5)]


class Place:
    """A folder for one case: input, data and store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.store = folder, folder / "data", folder / "store"
        self.arguments = ("-r", self.store, "-s", 0, "-b", 0)
        """To run with the store, an epoch a batch."""
        self.input = write_jsonl(folder / "input.jsonl", GOOD)

    def settings(self, **others):
        return settings(**{"source": "file", "checkins_path": self.input, "data_dir": self.data} | others)

    def query(self, sql):
        with duckdb.connect(str(self.data / "monitors.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def dead_letters(self):
        lines = (self.data / "dead_letters.jsonl").read_text().splitlines()
        return {line["offset"]: line for line in map(json.loads, lines)}


def assert_one_line(ended, *said, status=2):
    assert ended.status == status, ended.err
    assert len(ended.complaints) == 1, ended.err
    assert ended.complaints[0].startswith("cronwax: ")
    for words in said:
        assert str(words) in ended.complaints[0]


def assert_fine(ended):
    assert (ended.status, ended.complaints) == (0, [])
