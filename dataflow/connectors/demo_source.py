"""The demo's source: a simulated story, such as a day of some hundred monitors, read as fast as the flow can take it.

`python -m dataflow.connectors.demo_source --write FOLDER` writes the day as JSON Lines files, with the projects'
organizations beside them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from dataflow.connectors.demo_day import DAY_VERSION, PARTITIONS, lines_of_day
from dataflow.connectors.demo_jobs import PROJECTS
from dataflow.connectors.demo_troubles import TROUBLES_VERSION, lines_of_troubles
from dataflow.connectors.progress import Progress
from dataflow.monitors.check_in import NO_MINUTE
from dataflow.monitors.event_order import FOREVER
from dataflow.monitors.times import NO_TIME
from dataflow.process.exit import LastingError
from dataflow.stream.batch import Format, SourceBatch
from dataflow.stream.inputs import Inputs
from dataflow.stream.partition_clock import PartitionClock
from dataflow.wire.timestamps import read_ts

DEMO_PROJECTS = {project.project_id: project.organization_id for project in PROJECTS}
"""The organizations of the demo's projects."""
TOPIC = "demo"


class Story(NamedTuple):
    """What a demo simulates."""

    topic: str
    partitions: int
    version: int
    """To be raised with every change of what it holds: a position in one is none in another."""
    lines: Callable[[], Sequence[list[bytes]]]
    """The lines of each partition by their time; the same each time."""


DAY = Story(TOPIC, PARTITIONS, DAY_VERSION, lines_of_day)
TROUBLES = Story("troubles", 1, TROUBLES_VERSION, lines_of_troubles)
STORIES = {"day": DAY, "troubles": TROUBLES}
"""By the setting CRONWAX_DEMO_STORY."""

DemoState = tuple[int, int, int]
"""Where a partition is read on: the version of the day, lines before it, clock in minutes."""


class DemoSource(FixedPartitionedSource[SourceBatch, DemoState]):
    """A story in partitions `demo-0` and so on, in the encoding of JSON Lines files; it is the same every
    time."""

    def __init__(
        self,
        batch_size: int,
        stopping: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
        clock_delay_us: int = 0,
        story: Story = DAY,
    ) -> None:
        self._batch_size = batch_size
        self._stopping = stopping
        self._progress = progress
        self._clock_delay_us = clock_delay_us
        self._story = story
        self.origins = [f"{story.topic}-{partition}" for partition in range(story.partitions)]
        """The partitions in the order of their `SourceBatch.origin`."""

    @property
    def inputs(self) -> Inputs:
        """Any partition may hold controls."""
        return Inputs(self.origins, any_may_hold_controls=True)

    def list_parts(self) -> list[str]:
        """The partitions' names."""
        return list(self.origins)

    def build_part(self, step_id: str, for_part: str, resume_state: DemoState | None) -> DemoPartition:
        """Begin one partition, where it was left."""
        partition = self.origins.index(for_part)
        return DemoPartition(
            self._story,
            partition,
            self._batch_size,
            self._stopping,
            self._progress,
            resume_state,
            self._clock_delay_us,
        )


class DemoPartition(StatefulSourcePartition[SourceBatch, DemoState]):
    """One partition of a story; its last batch is marked `ended`, also when a resumed run finds nothing
    new."""

    def __init__(
        self,
        story: Story,
        partition: int,
        batch_size: int,
        stopping: Callable[[], bool],
        progress: Progress | None,
        resume_state: DemoState | None,
        clock_delay_us: int,
    ) -> None:
        self._partition = partition
        self._batch_size = batch_size
        self._stopping = stopping
        self._progress = progress
        self._story = story
        version, self._position, clock_minute = resume_state or (story.version, 0, NO_MINUTE)
        self._clock = PartitionClock(clock_minute, clock_delay_us)
        if version != story.version:
            raise LastingError("the recovery store was made by another release's demo; use an empty one")
        self._lines = story.lines()[partition]
        self._name = f"{story.topic}-{partition}"
        self._ended = False
        if progress is not None:
            progress.start(self._name, len(self._lines), self._position)

    def next_batch(self) -> list[SourceBatch]:
        """The next lines as one batch."""
        if self._ended or self._stopping():
            raise StopIteration
        begin = self._position
        lines = self._lines[begin : begin + self._batch_size]
        messages = [(begin + number, read_ts(line), line) for number, line in enumerate(lines, 1)]
        before = self._clock.minute
        for _, received_us, _ in messages:
            self._clock.take(received_us)
        self._position += len(lines)
        self._ended = self._position == len(self._lines)
        if self._progress is not None:
            self._progress.advance(self._name, self._position, len(lines), self._clock.minute)
        return [
            SourceBatch(
                origin=self._partition,
                topic=self._story.topic,
                partition=self._partition,
                format=Format.LINES,
                clock_before=before,
                messages=messages,
                clock_after=self._clock.minute,
                position=self._position + 1,
                ended=self._ended,
                read_us=FOREVER if self._ended else NO_TIME,
            )
        ]

    def snapshot(self) -> DemoState:
        """Where to read on."""
        return self._story.version, self._position, self._clock.minute

    def close(self) -> None:
        """Say that no more is read."""
        if self._progress is not None:
            self._progress.finish(self._name)


def write_day(folder: Path) -> list[Path]:
    """Write each partition as a JSON Lines file, and projects.json. Raises OSError. Returns what was
    written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for partition, lines in enumerate(lines_of_day()):
        paths.append(folder / f"{TOPIC}-{partition}.jsonl")
        paths[-1].write_bytes(b"".join(line + b"\n" for line in lines))
    paths.append(folder / "projects.json")
    paths[-1].write_text(json.dumps(DEMO_PROJECTS, indent=2) + "\n", encoding="utf-8")
    return paths


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dataflow.connectors.demo_source", description="The demo's day."
    )
    parser.add_argument("--write", type=Path, metavar="FOLDER", required=True, help="write it as files")
    folder = parser.parse_args().write
    try:
        for path in write_day(folder):
            print(path)
    except OSError as error:
        parser.exit(2, f"cronwax: {error.filename or folder}: {error.strerror}\n")


if __name__ == "__main__":
    _main()
