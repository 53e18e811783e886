"""The report: its table, its charts, and its advice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browsers import WITH_BROWSER, open_browser, set_width
from conftest import Shell
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from searches import artifacts, client, runs

from tailor.experiments.cli.compare import number
from tailor.experiments.reports.advice import advise
from tailor.experiments.reports.charts import draw_charts, draw_lines, list_undrawn
from tailor.experiments.reports.report import _leave_out, _table, describe_parameter
from tailor.experiments.tracking.leaderboard import Row, shorten
from tailor.search.analysis.plots import Told
from tailor.search.space.parameters import Choice, Float, Int
from tailor.search.space.space import Space
from tailor.search.study.goal import EPOCH_METRICS
from tailor.search.study.load import build


def test_a_finished_study_has_its_report_and_plots(recorded: Shell) -> None:
    (parent,), _ = runs(recorded.folder)
    mlflow = client(recorded.folder)
    found = {item.path for folder in ("", "plots") for item in mlflow.list_artifacts(parent.info.run_id, folder or None)}
    assert found >= {"report.html", "plots/plots.html"}
    place = artifacts(parent)
    page = (place / "report.html").read_text()
    assert not re.search(r"(src|href)=.?https?:", page)  # opens offline
    assert page.count("data:image/png;base64,iVBOR") == 5  # the best trial's
    assert len(page) < 2_000_000


@WITH_BROWSER
def test_the_report_opens_in_a_browser_without_a_network_and_fits_a_telephone(recorded: Shell, tmp_path: Path) -> None:
    done = recorded("report", "small", "-o", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stderr
    with open_browser(tmp_path / "profile") as browser:
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd(
            "Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        )
        for width in (1280, 390):
            set_width(browser, width)
            browser.get((tmp_path / "report.html").as_uri())
            widths = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
            assert len(widths) == 5 and min(widths) > 100
            assert "What to try next" in browser.execute_script("return document.body.innerText")
            for part in ("html", ".board"):  # nothing to scroll sideways
                wide, seen = browser.execute_script(
                    "const e = document.querySelector(arguments[0]); return [e.scrollWidth, e.clientWidth]", part
                )
                assert wide <= seen <= width, part


def row(trial: int, value: float | None, params: Mapping[str, Any] = {}, **metrics: float) -> Row:
    status = "failed" if value is None else "complete"
    values = {} if value is None else {"val_accuracy": value}
    text = {name: str(v) for name, v in params.items()}
    return Row(trial, 1, status, value, values, None if value is None else 0, "", text, metrics, "", 0, 1)


SPACE = Space((Float("rate", 1e-4, 1e-1, log=True), Int("depth", 1, 6), Choice("kind", ("a", "b"))))


@pytest.mark.parametrize(
    ("rows", "importance", "says"),
    [
        ([row(0, None)], {}, "No trial completed: read on its run why"),
        ([replace(row(0, None), status="running")], {}, "No trial has completed yet."),
        ([row(i, 0.9, {"rate": (0.095, 0.01)[i > 6]}) for i in range(10)], {}, "rate near its upper end, 0.1: raise it"),
        ([row(i, 0.9, {"rate": (0.00011, 0.01)[i > 6]}) for i in range(10)], {}, "rate near its lower end, 0.0001: lower it"),
        ([replace(row(0, 0.9), epoch=10)], {}, "still improving in its last epoch, 10"),
        ([row(0, 0.9)], {}, "1 trial is few for 3 searched parameters: resume it, with --trials 30"),
        (
            [row(i, 0.9, {"kind": "ab"[i > 6]}) for i in range(10)],
            {"rate": 0.9, "depth": 0.09, "kind": 0.01},
            "Hardly anything depended on kind: fix it",
        ),
        ([row(0, 0.9), row(1, 0.899), row(2, 0.5)], {}, "The best 2 trials lie within two standard errors"),
        ([row(0, 0.9), row(1, None), row(2, None)], {}, "2 of 3 trials failed"),
    ],
)
def test_advice_says_what_it_saw(rows: list[Row], importance: dict[str, float], says: str) -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}}
    spec = replace(build(tables), space=SPACE)
    assert says in " ".join(advise(spec, rows, importance, 5000, {}))


@pytest.mark.parametrize(
    ("complete", "others"),
    [(2, 0), (9, 3), (10, 2)],  # two complete trials that had it both; too few; enough, but too few that had it otherwise
)
def test_nothing_is_advised_that_the_trials_do_not_bear(complete: int, others: int) -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}}
    spec = replace(build(tables), space=SPACE)
    rows = [row(i, 0.9, {"rate": 0.095, "kind": "ba"[i < others]}) for i in range(complete)]
    rows += [row(complete + i, None, {"kind": "b"}) for i in range(12 - complete)]
    said = " ".join(advise(spec, rows, {"rate": 0.9, "depth": 0.09, "kind": 0.01}, 5000, {}))
    assert "Hardly anything" not in said and "near its upper end" not in said  # no trial had another rate


def test_values_are_written_as_in_the_study_file() -> None:
    assert describe_parameter(Choice("batch_norm", (True, False))) == ("batch_norm", "one of true, false", "")


def test_a_grid_is_not_told_to_go_on() -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "search": {"sampler": "grid"}}
    spec = build({**tables, "space": {"depth": {"low": 1, "high": 6}}})
    assert "searched parameters:" not in " ".join(advise(spec, [row(0, 0.9)], {}, 5000, {}))


@pytest.mark.parametrize(("sampler", "new"), [("hyperband", True), ("random", False)])
def test_more_epochs_are_advised_where_the_study_can_have_them(sampler: str, new: bool) -> None:
    """Keras Tuner's Hyperband refuses to go on with another max_epochs."""
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "space": {"depth": {"low": 1, "high": 6}}}
    spec = build({**tables, "search": {"engine": "keras-tuner", "sampler": sampler}})
    best = replace(row(0, 0.9), epoch=10)
    said = " ".join(advise(spec, [best], {}, 5000, {0: 10}))
    assert "still improving in its last epoch, 10" in said
    assert "still improving" not in " ".join(advise(spec, [best], {}, 5000, {0: 40}))  # from before max_epochs was lowered
    assert ("in a new study: --name" in said) == new


def test_no_range_is_advised_to_go_where_its_option_or_a_count_ends() -> None:
    space = Space((Float("flip", 0.0, 1.0), Int("depth", 1, 6), Float("shift", 0.0, 1.0)))
    spec = replace(build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}}), space=space)
    rows = [row(i, 0.9, {"flip": (0.99, 0.5)[i > 6], "depth": 1 + i // 7, "shift": (0.99, 0.5)[i > 6]}) for i in range(10)]
    said = " ".join(advise(spec, rows, {}, 5000, {}))
    assert "shift near its upper end, 1: raise it" in said and "flip near" not in said and "depth near" not in said


@pytest.mark.parametrize("end", [{"target": 0.5}, {"patience": 3}, {"total_epochs": 9}])
def test_a_search_that_would_end_at_once_is_not_advised_to_go_on(end: dict[str, Any]) -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "search": {"trials": 4}}
    for given, advised in (({}, True), (end, False)):
        spec = replace(build({**tables, "search": {"trials": 4, **given}}), space=SPACE)
        assert ("resume it, with --trials" in " ".join(advise(spec, [row(0, 0.9)], {}, 5000, {}))) == advised


def test_where_no_trial_keeps_the_constraints_that_is_the_advice() -> None:
    study = {"name": "s", "dataset": "digits", "model": "mlp", "constraints": ["parameters <= 10"]}
    said = advise(build({"study": study}), [replace(row(0, 0.9), front=None)], {}, 5000, {})
    assert said == ["No complete trial keeps parameters <= 10: widen the space to points that keep it, or loosen it."]


def test_the_reports_table_says_what_the_leaderboard_does() -> None:
    objectives = [{"metric": "val_accuracy", "direction": "maximize"}, {"metric": "parameters", "direction": "minimize"}]
    study = {"name": "s", "dataset": "digits", "model": "mlp", "objectives": objectives, "constraints": ["latency_ms <= 2"]}
    values = {"val_accuracy": 0.5, "parameters": 12345.0, "latency_ms": 3.0}
    kept = Row(1, 1, "complete", 0.5, values, 0, "", {}, values, "", 0, 1, epoch=2)
    assert _leave_out(build({"study": study})) == {"seconds"}  # on a narrow screen
    broken, failed = replace(kept, trial=0, front=None), replace(row(2, None), reason="non_finite: the loss")
    many = [replace(row(i, 0.5), params={"units": "8" if i < 20 else "16"}) for i in range(30)]
    searched = build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "space": {"units": [8, 16]}})
    assert _table(searched, many)[2] == "" and len(_table(searched, many)[1]) == 15  # what is the same in all is so in all
    columns, cells, common = _table(build({"study": study}), [kept, broken, failed])
    assert columns == ["trial", "status", "val_accuracy", "parameters", "at epoch", "latency_ms", "seconds", "hyperparameters"]
    assert cells[0] == ["1 *", "done", "0.5000", "12,345", "2", "3.0000", "–", "–"] and common == ""
    assert [line[:2] for line in cells[1:]] == [["0", "breaks a constraint"], ["2", "failed, non_finite: the loss"]]


def test_a_trial_that_did_not_complete_stands_at_its_last_value_in_the_table_as_on_the_screens() -> None:
    study = {"name": "s", "dataset": "digits", "model": "mlp", "constraints": ["val_loss <= 2"]}
    best = {"best_val_accuracy": 0.9, "best_val_loss": 0.1, "best_epoch": 1.0}
    pruned = replace(row(3, None, **best), status="pruned", reason="after epoch 4", last=0.4, epoch=4)
    columns, (cells,), _ = _table(build({"study": study}), [pruned])
    shown = dict(zip(columns, cells, strict=True))
    assert (shown["status"], shown["val_accuracy"], shown["at epoch"]) == ("pruned after epoch 4", "0.4000", "4")
    assert shown["val_loss"] == "–"  # its best is of another epoch


def told(trial: int, status: str, value: float, kind: str = "a", **params: float) -> Told:
    text = {name: str(v) for name, v in params.items()} | {"kind": kind}
    values = {"val_accuracy": value} if status == "complete" else {}
    return Told(trial, status, text, values, {1: value / 2, 2: value}, 0, 1, value)


def drawn_trials(svg: str) -> set[int]:
    return {int(number) for number in re.findall(r'data-t="(\d+)"', svg)}


def test_the_charts_show_every_trial_that_has_a_value_and_leave_out_what_says_nothing() -> None:
    spec = replace(build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}}), space=SPACE)
    statuses = ["complete", "pruned", "stopped", "complete", "pruned", "complete"]
    trials = [told(i, status, 0.5 + i / 20, "ab"[i % 2], rate=10.0 ** -(1 + i % 4), depth=2) for i, status in enumerate(statuses)]
    charts = {chart.title: chart.svg for chart in draw_charts(spec, trials, {}, 5)}
    assert list(charts) == ["How the search went", "By epoch", "All hyperparameters", "rate", "kind"]  # depth never varies
    assert all(drawn_trials(svg) == set(range(6)) for svg in charts.values())
    for svg in charts.values():
        ElementTree.fromstring(svg)
        assert not re.search("nan|inf", svg)
    assert charts["rate"].count('class="cut"') == 3 and charts["rate"].count('class="best" data-t="5"') == 1
    assert [chart.title for chart in draw_charts(spec, trials[:3], {}, 0)] == ["How the search went", "By epoch"]
    assert draw_charts(spec, trials[:1], {}, 0) == []
    short = [replace(one, by_epoch={1: 0.5}) if one.trial == 1 else one for one in trials]
    for shown, note in ((trials, "Each line is a trial."), (short, "Each line is a trial: 5 of 6. The others ended after one")):
        assert draw_charts(spec, shown, {}, 5)[1].note.startswith(note)


def test_hyperparameters_that_a_chart_leaves_out_are_named() -> None:
    names = [f"p{i}" for i in range(14)]
    space = Space(tuple(Float(name, 0.0, 1.0) for name in names))
    spec = replace(build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}}), space=space)
    trials = [replace(told(i, "complete", 0.5), params={name: str(i / 10) for name in names}) for i in range(6)]
    charts = {chart.title: chart for chart in draw_charts(spec, trials, {"p13": 0.9}, 0)}
    assert list(charts)[3:] == ["p13", *names[:11]] and list_undrawn(spec, trials, {"p13": 0.9}) == ["p11", "p12"]
    assert charts["All hyperparameters"].note.endswith("Without p7, p8, p9, p10, p11, p12.")
    assert list_undrawn(spec, trials[:3], {}) == []  # no charts at all


def test_several_objectives_have_a_chart_of_the_first_against_each() -> None:
    objectives = [{"metric": metric, "direction": "minimize"} for metric in ("val_loss", "parameters", "latency_ms")]
    spec = build({"study": {"name": "s", "dataset": "digits", "model": "mlp", "objectives": objectives}})
    trials = [replace(told(i, "complete", 1.0), values={o["metric"]: i + 1.0 for o in objectives}) for i in range(3)]
    titles = [chart.title for chart in draw_charts(spec, trials, {}, 0)]
    assert titles[1:3] == ["val_loss against parameters", "val_loss against latency_ms"]


def test_a_study_of_one_trial_is_a_dot_among_lines() -> None:
    made = draw_lines({"one": [(1, 0.9)], "two": [(1, 0.3), (2, 0.7)], "none": []}, "number of trials", "val_accuracy")
    dot, line = re.findall(r'<polyline class="([^"]*)" points="([^"]*)"', made)
    assert dot[0] == "study s0 point" and line[0] == "study s1"
    assert len(set(dot[1].split())) == 1 and len(dot[1].split()) == len(line[1].split()) == 2


def test_several_studies_stand_side_by_side(copy: Shell) -> None:
    made = MlflowClient(f"sqlite:///{copy.folder / 'mlruns' / 'mlflow.db'}")
    (parent,), trials = runs(copy.folder)
    other = made.create_experiment("other")
    named = {"optimizer": "adam", "activation": "relu", "dropout": "0.5"}  # of `small` by default: adam, relu and 0
    for run in (parent, *trials):
        tags = {**run.data.tags, "tailor.study": "other"}
        again = made.create_run(other, tags=tags, run_name=run.info.run_name).info.run_id
        metrics = [Metric(k, v, 0, 0) for k, v in run.data.metrics.items() if k not in EPOCH_METRICS]
        better = [Metric(m.key, 1.0 if m.key == "best_val_accuracy" else m.value, 0, 0) for m in metrics]
        made.log_batch(again, metrics=better, params=[Param(k, v) for k, v in (run.data.params | named).items()])
        if run is parent:
            made.log_text(again, (artifacts(run) / "study.json").read_text(), "study.json")
        made.set_terminated(again)
    done = copy("report", "small", "other")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (copy.folder / "small-other.html").read_text()
    assert re.search(r"Best: trial \d+ of other, val_accuracy 1.0000\.", page) and page.count('class="study s') == 4
    assert not re.search(r"(src|href)=.?https?:", page) and "Confusion matrix of small" in page
    for name, before, after in (("optimizer", "adam", "adam"), ("activation", "relu", "relu"), ("dropout", "0", "0.5")):
        tint = "" if before == after else ' class="best"'
        assert f'<tr{tint}><td>{name}</td><td class="n">{before}</td><td class="n">{after}</td></tr>' in page
    assert "label_smoothing" not in page  # by default in both
    twice = copy("report", "small", "small")
    assert twice.returncode == 2 and "names the study 'small' twice" in twice.stderr


def test_numbers_are_shown_whole() -> None:
    assert [number(669706.0), number(0.123456), number(None)] == ["669,706", "0.12346", "–"]
    assert [shorten(text) for text in ("16384", "0.00123456", "-1.5e-07")] == ["16384", "0.001235", "-1.5e-07"]
    texts = (
        "relu",
        "007",
        "64_32",
        "1e3",
        "0.100000",
        "nan",
        "-inf",
        " 1.23456",
        "٣",
        "²",
        "9" * 400,
    )  # Python reads some as numbers
    assert [shorten(text) for text in texts] == [*texts]


def test_nothing_is_advised_where_nothing_stands_out() -> None:
    spec = replace(build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}}), space=SPACE)
    rows = [row(i, 0.9 - 0.1 * i, {"rate": 0.01, "depth": 3}, best_epoch=4.0) for i in range(5)] + [row(9, 0.1)] * 30
    assert advise(spec, rows, {"rate": 0.6, "depth": 0.4}, 5000, {}) == []
