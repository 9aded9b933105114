"""A state with a history, and its rows in the fewest words."""

from __future__ import annotations

import shutil

from state.history.history import History, Limits
from state.publish.publish import Publisher
from state.publish.snapshot_views import SNAPSHOT
from state.write.writer import StateWriter
from tests import quick_database
from tests.shared import made_once
from tests.state.state_rows import START_US, answer, check_in, partition, write

DAY = 1_440
COUNT = "SELECT count(*), count(DISTINCT check_in_id) FROM check_ins"
LIVE = "SELECT path FROM history_files WHERE superseded_at IS NULL"


class State:
    """A state with a history; `hot_rows` is how many rows may stay in the database."""

    def __init__(self, folder, hot_rows=100, **retention_days):
        self.folder = folder
        self.rows = 0
        """How many check-ins a test has written, if it counts them."""
        self.is_patient = True
        """Each write waits for what is done in the background."""
        self.snapshot = folder / SNAPSHOT
        self.now = START_US / 1_000_000
        self._limits = Limits(hot_rows, retention_days)
        self._is_new = not (folder / "state").exists()
        self._open()

    def _open(self):
        self.writer = StateWriter.open(self.folder)
        self.history = History(self.writer, self.folder, self._limits, lambda: self.now)
        self.publisher = Publisher(self.writer, self.folder, 0, lambda: self.now)

    def close(self):
        self.history.close()
        self.writer.close()

    def write(self, at_minute=None, **rows):
        self._is_new = False
        if at_minute is not None:
            rows["partitions"] = [partition(at_minute, at_minute)]
        write(self.writer, **rows)
        changed = self.history.maintain()
        while self.is_patient and self.history.wait():
            changed |= self.history.maintain()
        return changed

    def fill(self, first_day=0, days=1, status="ok", step=240):
        """Check-ins, one every five minutes, numbered by their minute; `step` minutes a commit, the clock behind it.

        What many tests begin with is written once, and resumed by all of them.
        """
        if self._is_new and (first_day, status, step) == (0, "ok", 240):
            self._resume(days)
            return self
        for begin in range(first_day * DAY, (first_day + days) * DAY, step):
            rows = [check_in(minute, status, minute=minute) for minute in range(begin, begin + step, 5)]
            self.write(begin + step, check_ins=rows)
        return self

    def _resume(self, days):
        hot_rows, kept_days = self._limits

        def make(folder):
            state = State(folder, hot_rows, **kept_days)
            state._is_new = False
            state.fill(days=days)
            state.close()

        kept = "".join(f"-{name}-{number}" for name, number in sorted(kept_days.items()))
        filled = made_once(f"filled-{days}-{hot_rows}{kept}", make)
        self.close()
        shutil.rmtree(self.folder / "state")
        shutil.copytree(filled, self.folder, dirs_exist_ok=True)
        with quick_database.trusted():
            self._open()

    def next_day(self, day):
        """The event clock moves on, and what is due once a day is worked off."""
        self.write(day * DAY)
        while self.history.maintain() or self.history.wait():
            pass

    def ask(self, query):
        self.publisher.publish(force=True)
        return answer(self.snapshot, query)

    def hot(self, name="check_ins"):
        return self.writer.connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]

    def live(self):
        return [self.folder / path for (path,) in self.writer.connection.execute(LIVE).fetchall()]
