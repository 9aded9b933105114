"""Wrong settings and arguments: one clear line and a status, never a traceback.

Each case is a process of its own, started as users start it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bad_input.places import Place, assert_one_line
from tests.processes import PROJECT, run

WRONG_SETTINGS = {
    "a misspelt setting": ({"retention_day": "secret"}, "do you mean CRONWAX_RETENTION_DAYS?"),
    "an unknown source": ({"source": "rabbit"}, "CRONWAX_SOURCE: "),
    "a word for a number": ({"rate_limit": "six"}, "CRONWAX_RATE_LIMIT: "),
    "a number out of range": ({"batch_size": "0"}, "CRONWAX_BATCH_SIZE: "),
    "several": ({"source": "rabbit", "key_groups": "x"}, "CRONWAX_KEY_GROUPS: "),
    "no JSON": ({"kafka_config": "{secret"}, "CRONWAX_KAFKA_CONFIG: is not valid JSON"),
    "an input that the demo does not read": (
        {"source": "demo", "checkins_path": "input.jsonl"},
        "CRONWAX_CHECKINS_PATH is set, but CRONWAX_SOURCE is demo",
    ),
    "no JSON for days": (
        {"retention_days_by_table": "{x"},
        "CRONWAX_RETENTION_DAYS_BY_TABLE: is not valid JSON",
    ),
    "JSON of another kind": ({"kafka_config": "[1]"}, "CRONWAX_KAFKA_CONFIG: must be a JSON object"),
    "no input path": ({"checkins_path": ""}, "CRONWAX_CHECKINS_PATH must be set"),
    "an input path that is not there": (
        {"checkins_path": "/nowhere/x.jsonl"},
        "/nowhere/x.jsonl: no such file",
    ),
    "an input path that is no file": ({"checkins_path": os.devnull}, f"{os.devnull}: neither a file nor"),
    "a data folder below a file": ({"data_dir": str(PROJECT / "LICENSE" / "x")}, "LICENSE/x cannot be made"),
    "an input path that is too long": ({"checkins_path": "/" + "x" * 5000}, "File name too long"),
    "a folder without input": ({"checkins_path": str(PROJECT / "docs")}, "docs: no *.jsonl"),
    "a projects file that is not there": ({"projects_path": "/nowhere"}, "CRONWAX_PROJECTS_PATH: /nowhere: "),
    "a data folder below nothing": ({"data_dir": "/proc/x"}, "CRONWAX_DATA_DIR: /proc/x "),
    "a data folder that takes no file": ({"data_dir": "/proc"}, "CRONWAX_DATA_DIR: /proc "),
}


WRONG_ARGUMENTS = {
    "no worker": (("-w", 0), "-w 0", 2),
    "no such process": (("-i", 2, "-a", "127.0.0.1:1;127.0.0.1:2"), "-i 2", 2),
    "an address of another machine": (
        ("-i", 0, "-a", "192.0.2.1:1;127.0.0.1:2"),
        "addresses of the cluster",
        1,
    ),
}


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """How each start with something wrong ended; as many at a time as there are cores."""
    top = Place(tmp_path_factory.mktemp("starts"))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ended = {case: pool.submit(run, top.settings(**wrong)) for case, (wrong, _) in WRONG_SETTINGS.items()}
        for case, (arguments, *_) in WRONG_ARGUMENTS.items():
            ended[case] = pool.submit(run, top.settings(data_dir=top.folder / case), *arguments)
    return {case: future.result() for case, future in ended.items()} | {"data folder": top.data}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_a_wrong_setting_stops_the_start(starts, case):
    assert_one_line(starts[case], WRONG_SETTINGS[case][1])
    assert "secret" not in starts[case].err
    assert not starts["data folder"].exists()


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_stop_the_start(starts, case):
    _, said, status = WRONG_ARGUMENTS[case]
    assert_one_line(starts[case], said, status=status)


def test_a_data_folder_that_is_a_file_stops_the_start(place):
    assert_one_line(
        run(place.settings(data_dir=place.input)), f"CRONWAX_DATA_DIR: {place.input} cannot be made"
    )


def test_a_broken_projects_file_stops_the_start(place):
    path = place.folder / "projects.json"
    path.write_text('{"1": 1e400}')
    assert_one_line(run(place.settings(projects_path=path)), f"CRONWAX_PROJECTS_PATH: {path}: ")
