"""Several studies side by side: what each came to, in how many trials and seconds, and their best configurations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ...search.study.goal import Goal
from ...search.study.spec import StudySpec
from ..tracking.artifacts import CONFUSION
from ..tracking.leaderboard import Row, count_by_word, count_rows, find_best, format_number, read_leaderboard, shorten
from ..tracking.reader import RecordedStudy
from .charts import draw_lines
from .compare import list_values
from .pages import inline, render
from .report import fetch_artifact


@dataclass(frozen=True)
class Side:
    """A study with its leaderboard and its best trial, if it has one."""

    study: RecordedStudy
    spec: StudySpec
    board: Sequence[Row]
    best: Row | None


def make_page(studies: Sequence[RecordedStudy]) -> str:
    """The page of at least two studies."""
    sides = [_read(study) for study in studies]
    names = [side.study.name for side in sides]
    first = sides[0].spec.objective
    comparable = all(side.spec.goal == sides[0].spec.goal for side in sides)
    same_data = len({side.study.tags.get("tailor.dataset_sha256") for side in sides}) == 1
    notes = [] if comparable else ["Their objectives or constraints differ, so nothing is ranked."]
    notes += [] if same_data else ["Their images differ: compare their values with care."]
    return render(
        "studies.html",
        names=names,
        lead=_rank(sides) if comparable else "Studies with different objectives or constraints.",
        note=" ".join(notes),
        rows=_compare(sides),
        chart=draw_lines({side.study.name: _follow(side) for side in sides}, "number of trials", first.metric)
        if comparable and any(side.best for side in sides)
        else "",
        configurations=_configure(sides),
        pictures=[
            (f"{side.study.name}, trial {side.best.trial}", inline(data))
            for side in sides
            if side.best is not None and (data := fetch_artifact(side.study.client, side.best.run_id, CONFUSION))
        ],
    )


def _read(study: RecordedStudy) -> Side:
    board = read_leaderboard(study)
    return Side(study, study.read_spec(), board, find_best(board))


def _rank(sides: Sequence[Side]) -> str:
    objective = sides[0].spec.objective
    found = [(side.best.value or 0.0, side) for side in sides if side.best is not None]
    if not found:
        return "No study has a complete trial yet."
    best, _ = min(found, key=lambda pair: objective.cost(pair[0]))
    winners = [f"trial {side.best.trial} of {side.study.name}" for value, side in found if side.best and value == best]
    by = f"Best by {objective.metric}" if sides[0].spec.others else "Best"
    return f"{by}: {' and '.join(winners)}, {objective.metric} {format_number(best, objective.metric)}."


def _compare(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    def best(metric: str) -> list[str]:
        return ["–" if one.best is None else format_number(one.best.metrics.get(metric), metric) for one in sides]

    values = ["–" if s.best is None else format_number(s.best.value, s.spec.objective.metric) for s in sides]
    counts = [count_by_word(count_rows(side.board)) for side in sides]
    seconds = [sum(row.metrics.get("train_seconds", 0.0) for row in side.board) for side in sides]
    return [
        ("objective", [_describe(side.spec.goal) for side in sides]),
        ("best value", values),
        ("best trial", ["–" if side.best is None else str(side.best.trial) for side in sides]),
        ("its best epoch", best("best_epoch")),
        ("its parameters", best("parameters")),
        ("its seconds", best("train_seconds")),
        ("its milliseconds an image", best("latency_ms")),
        ("trials", counts),
        ("seconds of training in all", [f"{total:,.0f}" for total in seconds]),
        ("model", [side.spec.model for side in sides]),
        ("data", [side.spec.dataset for side in sides]),
        ("images to validate", [_count(side.study) for side in sides]),
        ("max_epochs", [str(side.spec.search.max_epochs) for side in sides]),
        ("sampler, pruner", [f"{side.spec.search.sampler.name}, {side.spec.search.pruner.name}" for side in sides]),
    ]


def _describe(goal: Goal) -> str:
    """minimize val_loss, maximize val_accuracy; parameters <= 5000"""
    aims = ", ".join(f"{one.direction} {one.metric}" for one in goal.objectives)
    return "; ".join([aims, *map(str, goal.constraints)])


def _count(study: RecordedStudy) -> str:
    sizes = json.loads(study.tags.get("tailor.split_sizes", "{}"))
    return f"{sizes['val']:,}" if "val" in sizes else "–"


def _follow(side: Side) -> list[tuple[float, float]]:
    """The best value so far after each trial, from 1: a line of steps."""
    objective, best, steps = side.spec.objective, None, list[tuple[float, float]]()
    for row in sorted(side.board, key=lambda row: row.trial):
        if row.value is not None and row.front is not None and (best is None or objective.better(row.value, best)):
            steps += [] if best is None else [(row.trial + 1, best)]
            best = row.value
        if best is not None:
            steps.append((row.trial + 1, best))
    return steps


def _configure(sides: Sequence[Side]) -> list[tuple[str, list[str], bool]]:
    """The values of the best trials and whether they differ: what a study names, and what differs by default."""
    found = [
        {} if best is None else list_values(side.study.client.get_run(best.run_id), side.study, side.spec)
        for side in sides
        for best in [side.best]
    ]
    given = dict.fromkeys(name for side in sides if side.best is not None for name in side.best.params)
    names = dict.fromkeys([*given, *(name for one in found for name in one)])
    lines = [(name, [shorten(one[name]) if name in one else "–" for one in found]) for name in names]
    return [(name, cells, differ) for name, cells in lines if (differ := len(set(cells)) > 1) or name in (*given, "precision")]
