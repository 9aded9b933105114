"""What is set and has no effect, and data that gets mixed: said once, at the start, as neither is wrong by itself."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from dataflow.settings import PREFIX, Settings
from state.errors import StateError
from state.publish.snapshot import open_snapshot
from state.publish.snapshot_views import SNAPSHOT

_ONLY_WITH = {
    "checkins_path": ("file",),
    "kafka_bootstrap_servers": ("kafka",),
    "kafka_config": ("kafka",),
    "kafka_config_file": ("kafka",),
}
"""Settings of one source."""
DEMO_TOPICS = ("demo", "troubles")
"""The topics of what the demo simulates."""


def said_at_start(settings: Settings) -> Iterator[str]:
    """One line for each setting that this source does not use, and one if the demo's data and others' get mixed."""
    for name, sources in _ONLY_WITH.items():
        if name in settings.model_fields_set and settings.source not in sources:
            yield f"{PREFIX}{name.upper()} is set and not used: CRONWAX_SOURCE is {settings.source}"
    topics = _topics(settings)
    reads = settings.demo_story_topic
    if reads is None and (simulated := sorted(topics.intersection(DEMO_TOPICS))):
        yield (
            f"{settings.data_dir} holds data of the demo ({', '.join(simulated)}), to which this is added; set "
            "CRONWAX_DATA_DIR to another folder to keep them apart"
        )
    elif reads is not None and (others := sorted(topics - {reads})):
        yield (
            f"{settings.data_dir} holds other data ({', '.join(others)[:200]}), to which the demo is added; set "
            "CRONWAX_DATA_DIR to another folder to keep them apart"
        )


def _topics(settings: Settings) -> set[str]:
    """The topics and files that the published snapshot has read; none if there is none that can be read."""
    if not (settings.data_dir / SNAPSHOT).exists():
        return set()
    try:
        with open_snapshot(settings.data_dir) as connection:
            rows = connection.execute(
                "SELECT DISTINCT p.topic FROM (SELECT unnest(positions, recursive := true) FROM snapshot_info) AS p"
            ).fetchall()
    except (StateError, duckdb.Error):
        return set()  # the start says what is wrong with it
    return {topic for (topic,) in rows}
