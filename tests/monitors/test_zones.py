"""Zone data is read in one place, so that rules and answers cannot differ in it."""

from __future__ import annotations

from tests.processes import PROJECT


def test_only_one_module_reads_zone_data():
    readers = [
        path.relative_to(PROJECT).as_posix()
        for room in ("dataflow", "state", "cronwax")
        for path in sorted((PROJECT / room).rglob("*.py"))
        if "ZoneInfo(" in (text := path.read_text(encoding="utf-8"))
        or "ZoneInfo.from_file(" in text
        or "tz.gettz(" in text
    ]
    assert readers == ["state/zones.py"]
