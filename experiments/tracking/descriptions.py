"""What MLflow's pages say of a study and of a trial: texts in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...search.study.goal import Goal
from ...search.study.spec import StudySpec
from ..errors import write_command
from ..system.words import say_ended
from ..trials.job import TrialResult
from .kinds import TRIAL, Kind
from .leaderboard import LONGEST_TAG, TOP, Overview, Row, count_rows, format_number, shorten
from .recorded import REPORT

WIDEST = 60  # characters of a trial's hyperparameters in a table
STATUSES = ("complete", "infeasible", "pruned", "failed", "running", "stopped", "lost")


def write_trial_note(
    study: str, kind: Kind, number: int, hparams: Mapping[str, Any], result: TrialResult | None, status: str
) -> str:
    """A trial's (or candidate's) description: what it tried and, once it ended, what came of it."""
    ended = say_ended(status, result.reason if result is not None else "")
    said = [f"{kind.describe(number).capitalize()} of study **{study}**: {ended}"]
    if result is not None:
        shown = {name: result.metrics.get(f"best_{name}") for name in ("val_accuracy", "val_loss")}
        said += [f"{name} **{value:.4f}**" for name, value in shown.items() if value is not None]
        said[1:] = [f"{', '.join(said[1:])} after epoch {result.best_epoch}"] if len(said) > 1 else []
    lines = [", ".join(said) + "."]
    if hparams:
        lines.append(", ".join(f"{name} `{shorten(str(value))}`" for name, value in hparams.items()))
    if kind is TRIAL and status in ("complete", "pruned"):
        lines.append(f"Pictures: *Artifacts*. Train it again: {write_command('reproduce', f'{study}:{number}')}")
    return "\n\n".join(lines)[:LONGEST_TAG]


def write_study_note(spec: StudySpec, board: Sequence[Row], link: str, promotable: bool = True) -> str:
    """A study's description: its best trial, the leaderboard, and what to do next. `link` is the report's address."""
    goal, overview = spec.goal, Overview.of(board)
    counts = ", ".join(f"{overview.counts[status]} {status}" for status in STATUSES if overview.counts[status])
    aim = " and ".join(f"{o.direction} `{o.metric}`" for o in goal.objectives)
    lines = [f"`{spec.model}` on `{spec.dataset}`, {aim}. Trials: {counts or 'none yet'}."]
    if board and board[0].front is not None:
        best = board[0]
        values = ", ".join(f"{name} **{format_number(value, name)}**" for name, value in best.values.items())
        lines.insert(0, f"**Best: trial {best.trial}**, {values}")
    offered = promotable and board and board[0].front is not None
    promote = f" · promote the best: {write_command('promote', spec.name, '--to', 'NAME')}" if offered else ""
    lines.append(f"[Report]({link}) (*Artifacts*, {REPORT}){promote}")
    table = [
        "| trial | " + " | ".join(o.metric for o in goal.objectives) + " | status | hyperparameters |",
        "| --- " * (3 + len(goal.objectives)) + "|",
    ]
    table += [_write_row(row, goal, overview.varied, link) for row in overview.top]
    if len(board) > TOP:
        table.append(f"| … {len(board) - TOP} more " + "| " * (2 + len(goal.objectives)) + "|")
    text = "\n\n".join([*lines, "\n".join(table)])
    return text if len(text) <= LONGEST_TAG else "\n\n".join(lines)[:LONGEST_TAG]


def _write_row(row: Row, goal: Goal, varied: Sequence[str], link: str) -> str:
    values = [format_number(row.find(o.metric, goal), o.metric) for o in goal.objectives]
    text = ", ".join(f"{name} {shorten(row.params[name])}" for name in varied if name in row.params)
    text = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    trial = f"[{row.label(goal).replace('*', '★')}]({link.partition('/runs/')[0]}/runs/{row.run_id})"
    return f"| {trial} | {' | '.join(values)} | {row.standing} | {text.replace('|', '/')} |"


def count_by_status(board: Sequence[Row]) -> dict[str, float]:
    """The numbers of trials, in all and by status, as metrics."""
    counts = count_rows(board)
    return {"trials": float(len(board)), **{f"trials_{status}": float(counts[status]) for status in STATUSES}}


def make_link(experiment_id: str, run_id: str) -> str:
    """The report's address within MLflow's pages, whatever their host."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{REPORT}"
