"""A study's report: reads MLflow, draws, and writes one page of HTML that needs no network."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from ...search.analysis import plots
from ...search.analysis.importance import Importance
from ...search.analysis.plots import Told
from ...search.space.conditions import write_when
from ...search.space.describe import describe_value
from ...search.space.parameters import Choice, Fixed, Parameter
from ...search.study.spec import StudySpec
from ..tracking.artifacts import CONFUSION, CURVES, FILTERS, SAMPLES, SCORES
from ..tracking.leaderboard import Row, format_number, read_leaderboard, shorten
from ..tracking.reader import RecordedStudy
from ..tracking.recorded import REPORT
from ..tracking.tracker import flatten
from .advice import advise
from .charts import draw_charts, list_undrawn
from .compare import compare
from .pages import inline, render

MOST_ROWS = 15
MOST_CURVES = 50  # trials whose values by epoch the charts show: a query each
BEST_PICTURES = {  # the best trial's, with their titles; the first two stand on top
    CURVES: "Learning curves",
    CONFUSION: "Confusion matrix",
    SCORES: "Scores by class",
    SAMPLES: "Predictions",
    FILTERS: "First layer",
}
SHOWN = {"parameters": "parameters", "train_seconds": "seconds"}  # metrics with their titles
LESS = ("parameters", "seconds")  # columns that a narrow screen leaves out


@dataclass(frozen=True)
class Report:
    """The page, the spec and the leaderboard that it was made of, and what draws a page of Optuna's own plots."""

    page: str
    spec: StudySpec
    board: Sequence[Row]
    draw_plots: Callable[[], str]


def make(study: RecordedStudy) -> Report:
    """Read the study and make its report."""
    spec, board = study.read_spec(), read_leaderboard(study)
    spec = dataclasses.replace(spec, space=spec.source.show([row.params for row in board]))
    told = [_told(study.client, spec, row, i < MOST_CURVES) for i, row in enumerate(board)]
    trials = plots.to_optuna(spec, told)
    mattered = plots.measure_importances(trials, told)
    return Report(_render(study, spec, board, told, mattered), spec, board, partial(plots.draw_page, trials, mattered))


def log(study: RecordedStudy, report: Report, folder: Path) -> None:
    """Log the report, and a page of Optuna's own plots, to the study's run; `folder` is an empty folder for the files."""
    (folder / "plots").mkdir()
    (folder / REPORT).write_text(report.page, encoding="utf-8")
    (folder / "plots" / "plots.html").write_text(report.draw_plots(), encoding="utf-8")
    study.client.log_artifacts(study.run_id, str(folder))


def _told(client: MlflowClient, spec: StudySpec, row: Row, with_curve: bool) -> Told:
    by_epoch: dict[int, float] = {}
    if with_curve and spec.objective.by_epoch:
        by_epoch = {m.step: m.value for m in client.get_metric_history(row.run_id, spec.objective.metric)}
    last = row.last if row.last is not None and math.isfinite(row.last) else None
    return Told(row.trial, row.status, row.params, row.values, by_epoch, row.start, row.end or row.start, last)


def _render(
    study: RecordedStudy,
    spec: StudySpec,
    board: Sequence[Row],
    told: Sequence[Told],
    mattered: Importance,
) -> str:
    sound = [row for row in board if row.front is not None]
    best, runner_up = [*sound, None, None][:2]
    differs: Mapping[str, Any] = {}
    confusions: Sequence[Any] = ()
    if best is not None and runner_up is not None:
        found = compare(study.client, [best.run_id, runner_up.run_id])
        differs = {name: [None if text is None else shorten(text) for text in pair] for name, pair in found.params.items()}
        confusions = found.confusions
    sizes = json.loads(study.tags.get("tailor.split_sizes", "{}"))
    columns, cells, common = _table(spec, board)
    shares = mattered.shares if mattered.firm else {}
    return render(
        "page.html",
        spec=spec,
        counts=", ".join(f"{count} {word}" for word, count in sorted(Counter(row.word for row in board).items())),
        state=study.state,
        promotable=study.promotable,
        best=best,
        best_value=format_number(best.value, spec.objective.metric) if best else "",
        complete=any(row.values for row in board),
        space=[describe_parameter(parameter) for parameter in spec.space.parameters],
        fixed=", ".join(f"{name} = {describe_value(value)}" for name, value in flatten(spec.training).items()),
        data=", ".join(f"{name} {size:,}" for name, size in sizes.items()) or "as cut by the study",
        conditional=any(parameter.when for parameter in spec.space.parameters),
        columns=columns,
        less=_leave_out(spec),
        leaderboard=[(row.trial, line) for row, line in zip(board, cells, strict=False)],
        common=common,
        configuration=_configure(study.client, spec, best) if best else [],
        more=max(0, len(board) - MOST_ROWS),
        best_pictures=_show_pictures(study.client, best) if best else [],
        runner_up=runner_up,
        differs=differs,
        confusions=confusions,
        mattered=mattered,
        charts=draw_charts(spec, told, shares, best.trial if best else None),
        undrawn=", ".join(list_undrawn(spec, told, shares)),
        tips={row.trial: _tip(spec, row) for row in board},
        ended=study.word == "deleted",
        advice=advise(spec, board, shares, int(sizes.get("val", 0)), {one.trial: max(one.by_epoch, default=0) for one in told}),
    )


def _leave_out(spec: StudySpec) -> set[str]:
    """The columns that a narrow screen does without: what is neither an objective nor constrained."""
    return {*LESS} - {one.metric for one in spec.goal.objectives} - {one.metric for one in spec.constraints}


def _table(spec: StudySpec, board: Sequence[Row]) -> tuple[list[str], list[list[str]], str]:
    """The leaderboard's columns and cells, and what its trials have in common."""
    searched = [parameter.name for parameter in spec.space.searched]
    varied = [name for name in searched if len({row.params.get(name) for row in board}) > 1]
    same = [name for name in searched if name not in varied and board and name in board[0].params]
    objectives = [objective.metric for objective in spec.goal.objectives]
    also = dict.fromkeys([*(constraint.metric for constraint in spec.constraints), *SHOWN])
    metrics = [metric for metric in also if metric not in objectives]
    columns = ["trial", "status", *objectives, "at epoch", *(SHOWN.get(metric, metric) for metric in metrics), "hyperparameters"]
    cells = [
        [
            row.label(spec.goal),
            row.standing,
            *(format_number(row.find(metric, spec.goal), metric) for metric in objectives),
            str(row.epoch or "–"),
            *(format_number(row.find(metric, spec.goal), metric) for metric in metrics),
            ", ".join(f"{name} {shorten(row.params[name])}" for name in varied if name in row.params) or "–",
        ]
        for row in board[:MOST_ROWS]
    ]
    return columns, cells, ", ".join(f"{name} {shorten(board[0].params[name])}" for name in same)


def _tip(spec: StudySpec, row: Row) -> str:
    value = format_number(row.score, spec.objective.metric)
    text = ", ".join(f"{name} {shorten(value)}" for name, value in row.params.items())
    return f"trial {row.trial}: {spec.objective.metric} {value}, {row.standing}\n{text}"


def _configure(client: MlflowClient, spec: StudySpec, best: Row) -> list[tuple[str, str, bool]]:
    """Every value that the best trial was trained with, and whether it was searched; the searched ones first."""
    plain = fetch_artifact(client, best.run_id, "trial.json")
    values = flatten(json.loads(plain)["values"]) if plain else {**flatten(spec.training), **best.params}
    searched = {parameter.name for parameter in spec.space.searched}
    order = sorted(values, key=lambda name: name not in searched)
    return [(name, shorten(best.params.get(name, str(values[name]))), name in searched) for name in order]


def _show_pictures(client: MlflowClient, best: Row) -> list[tuple[str, str]]:
    drawn = [(title, fetch_artifact(client, best.run_id, name)) for name, title in BEST_PICTURES.items()]
    return [(title, inline(data)) for title, data in drawn if data]


def describe_parameter(parameter: Parameter) -> tuple[str, str, str]:
    if isinstance(parameter, Fixed):
        values = describe_value(parameter.value)
    elif isinstance(parameter, Choice):
        values = "one of " + ", ".join(map(describe_value, parameter.choices))
    else:
        extra = ", log scale" if parameter.log else f", step {parameter.step}" if parameter.step else ""
        values = f"{parameter.low:g} to {parameter.high:g}{extra}"
    return parameter.name, values, f"if {write_when(parameter.when)}" if parameter.when else ""


def fetch_artifact(client: MlflowClient, run_id: str, name: str) -> bytes:
    """The bytes of a run's file; empty if it has none."""
    try:
        with tempfile.TemporaryDirectory() as folder:  # MLflow would leave a server's artifact in a folder that stays
            place = download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=client.tracking_uri, dst_path=folder)
            return Path(place).read_bytes()
    except (MlflowException, OSError):
        return b""
