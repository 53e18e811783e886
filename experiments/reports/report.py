"""A study's report: reads MLflow, draws, and writes one page of HTML that needs no network."""

from __future__ import annotations

import dataclasses
import json
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
from ...search.space.parameters import Choice, Fixed, Parameter
from ...search.study.goal import key_of
from ...search.study.spec import StudySpec
from ..tracking.leaderboard import Row, format_number, read_leaderboard, shorten
from ..tracking.reader import REPORT, RecordedStudy
from .advice import advise
from .compare import compare
from .pages import inline, render

MOST_ROWS = 15
MOST_CURVES = 50  # trials whose values by epoch the plots show: a query each
BEST_PICTURES = ("learning_curves.png", "confusion_matrix.png", "sample_predictions.png")
SHOWN = {"best_epoch": "best epoch", "parameters": "parameters", "train_seconds": "seconds"}  # metrics with their titles
SHOWN_PLOTS = (
    "pareto_front",
    "optimization_history",
    "parameter_importance",
    "slice",
    "intermediate_values",
    "parallel_coordinate",
    "contour",
)


@dataclass(frozen=True)
class Report:
    """The page, the spec and the leaderboard that it was made of, the plots by name (PNG), and what draws an
    interactive page of them.
    """

    page: str
    spec: StudySpec
    board: Sequence[Row]
    pictures: Mapping[str, bytes]
    draw_plots: Callable[[], str]


def make(study: RecordedStudy) -> Report:
    """Read the study and make its report."""
    spec, board = study.read_spec(), read_leaderboard(study)
    spec = dataclasses.replace(spec, space=spec.source.show([row.params for row in board]))
    told = [_told(study.client, spec, row, i < MOST_CURVES) for i, row in enumerate(board)]
    trials = plots.to_optuna(spec, told)
    mattered = plots.measure_importances(spec, trials, told)
    pictures = plots.draw_pictures(trials, mattered)
    page = _render(study, spec, board, pictures, mattered)
    return Report(page, spec, board, pictures, partial(plots.draw_page, trials, mattered))


def log(study: RecordedStudy, report: Report, folder: Path) -> None:
    """Log the report, its plots and an interactive page of them to the study's run; `folder` is an empty folder for the files."""
    (folder / "plots").mkdir()
    (folder / REPORT).write_text(report.page, encoding="utf-8")
    for name, data in report.pictures.items():
        (folder / "plots" / f"{name}.png").write_bytes(data)
    (folder / "plots" / "plots.html").write_text(report.draw_plots(), encoding="utf-8")
    study.client.log_artifacts(study.run_id, str(folder))


def _told(client: MlflowClient, spec: StudySpec, row: Row, with_curve: bool) -> Told:
    by_epoch: dict[int, float] = {}
    if with_curve and spec.objective.by_epoch:
        by_epoch = {m.step: m.value for m in client.get_metric_history(row.run_id, spec.objective.metric)}
    reached = row.metrics.get(spec.objective.key)
    return Told(row.trial, row.status, row.params, row.values, by_epoch, row.start, row.end or row.start, reached)


def _render(
    study: RecordedStudy,
    spec: StudySpec,
    board: Sequence[Row],
    pictures: Mapping[str, bytes],
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
    columns, cells = _table(spec, board[:MOST_ROWS])
    return render(
        "page.html",
        spec=spec,
        counts=", ".join(f"{count} {status}" for status, count in sorted(Counter(row.status for row in board).items())),
        state=study.state,
        best=best,
        complete=any(row.values for row in board),
        space=[_described(parameter) for parameter in spec.space.parameters],
        fixed=", ".join(f"{name} = {value}" for name, value in spec.training.items()),
        data=", ".join(f"{name} {size:,}" for name, size in sizes.items()) or "as cut by the study",
        columns=columns,
        leaderboard=cells,
        more=max(0, len(board) - MOST_ROWS),
        best_pictures=[(name, inline(_artifact(study.client, best.run_id, name))) for name in BEST_PICTURES] if best else [],
        runner_up=runner_up,
        differs=differs,
        confusions=confusions,
        mattered=mattered,
        most_on_front=plots.MOST_ON_FRONT,
        plots=[(name, inline(pictures[name])) for name in SHOWN_PLOTS if name in pictures],
        advice=advise(spec, board, mattered.shares if mattered.firm else {}, int(sizes.get("val", 0))),
    )


def _table(spec: StudySpec, board: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    searched = [parameter.name for parameter in spec.space.searched]
    objectives = [objective.metric for objective in spec.goal.objectives]
    also = dict.fromkeys([*(constraint.metric for constraint in spec.constraints), *SHOWN])
    metrics = [metric for metric in also if metric not in objectives]
    columns = ["trial", "status", *objectives, *(SHOWN.get(metric, metric) for metric in metrics), *searched]
    cells = [
        [
            row.label(spec.goal),
            row.standing,
            *(format_number(row.values.get(metric), metric) for metric in objectives),
            *(format_number(row.metrics.get(key_of(metric)), metric) for metric in metrics),
            *(shorten(row.params.get(name, "–")) for name in searched),
        ]
        for row in board
    ]
    return columns, cells


def _described(parameter: Parameter) -> tuple[str, str, str]:
    if isinstance(parameter, Fixed):
        values = str(parameter.value)
    elif isinstance(parameter, Choice):
        values = "one of " + ", ".join(map(str, parameter.choices))
    else:
        extra = ", log scale" if parameter.log else f", step {parameter.step}" if parameter.step else ""
        values = f"{parameter.low:g} to {parameter.high:g}{extra}"
    return parameter.name, values, f"if {write_when(parameter.when)}" if parameter.when else ""


def _artifact(client: MlflowClient, run_id: str, name: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as folder:  # MLflow would leave a server's artifact in a folder that stays
            place = download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=client.tracking_uri, dst_path=folder)
            return Path(place).read_bytes()
    except (MlflowException, OSError):
        return b""
