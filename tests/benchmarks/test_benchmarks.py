"""The benchmarks themselves, at sizes that take no time: they run, agree, write and compare."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as command
from benchmarks import contender, hour, inputs, replay, report, steps, views
from benchmarks.report import Report
from tests.examples import IS_FULL


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(report, "FOLDER", tmp_path / "reports")
    return tmp_path


def test_the_same_input_is_made_twice(tmp_path, monkeypatch):
    first = inputs.replay(400)
    monkeypatch.setattr(inputs, "CACHE", tmp_path / "another")
    second = inputs.replay(400)
    assert first.path != second.path
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.messages == len(first.path.read_bytes().splitlines()) > 350


def test_an_input_that_was_made_is_not_made_again():
    made = inputs.stream(4, 20)
    made.path.write_bytes(b"")
    assert inputs.stream(4, 20) == made
    assert made.path.read_bytes() == b""


def test_flow_and_reference_agree_and_every_contender_reads_everything():
    found = replay.run(2_000, 1)
    assert "agree" in found.notes[0]
    assert set(found.figures) == {"floor", "flow", "flow, no recovery", "reference"}
    assert all(figures["per_s"] > 0 for figures in found.figures.values())
    assert found.ratios.keys() >= {"flow / floor, messages/s", "flow / reference, messages/s"}


def test_a_reference_that_says_otherwise_is_noticed(tmp_path):
    source, other = inputs.replay(400), inputs.replay(800)
    contender.run("flow", source, tmp_path / "flow")
    contender.run("reference", other, tmp_path / "reference")
    with pytest.raises(contender.Failed, match="disagree about check-ins"):
        replay.compare(tmp_path / "flow" / "data", tmp_path / "reference" / "data")


def test_the_floor_counts_every_message(tmp_path):
    source = inputs.replay(400)
    assert contender.run("floor", source, tmp_path)["messages"] == source.messages


def test_a_contender_that_fails_says_why(tmp_path):
    source = inputs.replay(400)
    with pytest.raises(contender.Failed, match="no such file"):
        contender.run("flow", source._replace(path=tmp_path / "nothing"), tmp_path)


def test_steps_tell_where_the_time_goes():
    (figures,) = steps.run(400, 1).figures.values()
    parts = sum(value for name, value in figures.items() if name != "all")
    assert figures["all"] == pytest.approx(parts)


REPORTS = [
    ("clock", 1_000, "1,000 monitors"),
    ("restart", 50, "50 environments"),
    ("sampling", 400, "2,000 rules"),
    ("columns", 640, "records"),
]
if IS_FULL:
    REPORTS.append(("scale", 1_000, "1,000 monitors"))  # which starts ten processes


@pytest.mark.parametrize(("name", "size", "expected"), REPORTS)
def test_a_benchmark_writes_its_figures_with_what_they_were_taken_on(name, size, expected, elsewhere, capsys):
    assert command.main([name, "--size", str(size), "--runs", "1"]) == 0
    found = json.loads((elsewhere / "reports" / f"{name}.json").read_text())
    assert found["figures"][expected]
    assert found["seed"] == inputs.SEED
    assert found["versions"]["bytewax"]
    assert found["machine"].keys() == {"cores", "memory_gb", "system", "architecture"}
    assert expected in capsys.readouterr().out


def test_what_an_epoch_costs_is_shown_by_parts_of_the_hour(monkeypatch):
    monkeypatch.setattr(hour, "EPOCHS", 12)
    found = hour.run(3, 1)
    assert [figures["hot_rows"] for figures in found.figures.values()] == [45, 105, 165, 225, 285, 345]
    assert all(figures["snapshot_mb"] > 0 for figures in found.figures.values())


def test_every_question_of_analysts_is_asked_of_a_fleet():
    found = views.run(30, 1)
    assert found.figures.keys() == (views.MOST_USED | views.OTHERS).keys()
    assert all(figures["ms"] > 0 for figures in found.figures.values())


def test_a_report_is_compared_with_the_last_one_of_its_size(tmp_path, capsys):
    report.publish(Report("one", 10, 1, {"flow": {"us": 10.0}}, {"share": 2.0}), tmp_path)
    report.publish(Report("one", 10, 1, {"flow": {"us": 15.0}}, {"share": 1.0}), tmp_path)
    assert "(+50 %)" in capsys.readouterr().out
    report.publish(Report("one", 99, 1, {"flow": {"us": 5.0}}), tmp_path)
    assert "%" not in capsys.readouterr().out


def test_contenders_take_turns_and_ratios_are_of_runs_side_by_side():
    turns = []

    def contender_of(name, figures):
        def one_run():
            turns.append(name)
            return {"us": next(figures)}

        return one_run

    found = Report("one", 1, 3)
    figures = report.interleaved(
        found,
        {"a": contender_of("a", iter([10.0, 40.0, 20.0])), "b": contender_of("b", iter([5.0, 10.0, 10.0]))},
    )
    assert turns == ["a", "b", "a", "b", "a", "b"]
    assert found.figures == {"a": {"us": 20.0}, "b": {"us": 10.0}}
    assert report.ratio(figures["a"], figures["b"], "us") == 2.0


@pytest.mark.parametrize("arguments", [["nothing"], ["replay", "--runs", "0"], ["replay", "--size", "-1"]])
def test_what_cannot_be_run_is_refused_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
