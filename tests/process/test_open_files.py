import resource

import pytest

from dataflow.process.exit import StartError
from dataflow.process.open_files import FILES_PER_PARTITION, OTHER_FILES, allow_open_files


@pytest.fixture
def limits(monkeypatch):
    """A process whose limits are given."""
    now = [256, 1_000]

    def take(_, wanted):
        now[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", take)
    return now


def test_the_soft_limit_is_raised_to_the_hard_one(limits):
    assert allow_open_files(8) == 1_000
    assert limits == [1_000, 1_000]


def test_too_many_partitions_are_one_line_with_both_numbers(limits):
    with pytest.raises(StartError) as error:
        allow_open_files(80)
    said = str(error.value)
    assert "1000" in said
    assert str(80 * FILES_PER_PARTITION + OTHER_FILES) in said


def test_processes_share_the_partitions(limits):
    assert allow_open_files(80, 2) == 1_000
