"""A study and its leaderboard, as a table that fits the screen and as plain data, for `search` and `status`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...search.study.capabilities import count_trials
from ..tracking import ui_links
from ..tracking.leaderboard import GONE, describe_best, find_best, format_number, list_others, read_leaderboard, shorten
from .hints import format_next
from .screen import make_table, open_console, show_table
from .stores import is_taken_up

if TYPE_CHECKING:
    from rich.console import Console

    from ...search.study.goal import Goal
    from ...search.study.spec import StudySpec
    from ..store import Store
    from ..tracking.leaderboard import Overview
    from ..tracking.recorded import StudyRecord

MORE = {"train_seconds": "seconds", "parameters": "parameters", "val_loss": "val_loss"}  # titles of metrics, on a wide screen
GAP = 2  # spaces between columns
REASONS = 3  # failures that are explained


def describe_state(store: Store, study: StudyRecord, spec: StudySpec) -> dict[str, Any]:
    """A study's progress, how its last session ended (None: it runs), and every trial, best first."""
    board = read_leaderboard(study)
    return {
        "study": spec.name,
        "run": study.run_id,
        "status": study.run_status,
        "ended": None if study.running or is_taken_up(study, store) else study.state,
        "trials": count_trials(spec, len(board)),
        "counts": Counter(row.status for row in board),
        "url": ui_links.make_study_url(ui_links.make_base_url(store.tracking_uri), study.experiment_id),
        "leaderboard": [row.to_dict() for row in board],
    }


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard: its heading, and a cell for each row."""

    name: str
    cells: Sequence[str]
    left: bool = False

    @property
    def width(self) -> int:
        return max(map(len, [*self.heading, *self.cells]))

    @property
    def heading(self) -> list[str]:
        """The name, broken after underscores and at spaces if it is wider than every cell."""
        room = max(map(len, self.cells), default=0)
        lines = [""]
        for part in re.split("(?<=[_ ])", self.name):
            if lines[-1] and len(lines[-1] + part) > room:
                lines.append("")
            lines[-1] += part
        return [line.rstrip() for line in lines]


def print_leaderboard(study: str, goal: Goal, shown: Overview, console: Console | None = None) -> None:
    """Print the best trials, a line each, as wide as the console; below them what is the same in all, and the best in full."""
    from rich.text import Text

    console = console or open_console()
    needed, wanted = _list_columns(goal, shown)
    columns = choose_columns(needed, wanted, console.width)
    title = f"{study}: the Pareto front first (*)" if goal.several else f"{study}: best first"
    table = make_table()
    for column in columns:
        heading = Text("\n".join(column.heading))
        table.add_column(heading, justify="left" if column.left else "right", no_wrap=True, vertical="bottom")
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells))  # as Text: names may hold brackets, which rich would read as markup
    if shown.top:
        show_table(console, title, table)
    for line in _list_notes(study, shown, [c.name for c in wanted if c.name in shown.varied and c not in columns]):
        console.print(Text(line))
    if more := sum(shown.counts.values()) - shown.counts.get(GONE, 0) - len(shown.top):
        print(f"… and {more} more; `{format_next('status', study, '--all')}` shows them")
    for line in describe_best(goal, find_best(shown.top)):
        console.print(Text(line, "bold" if line.startswith("Best") else ""))


def choose_columns(needed: Sequence[Column], wanted: Sequence[Column], width: int) -> list[Column]:
    """The columns that are needed, and of the others, in their order, as many as fit."""
    chosen = list(needed)
    room = width - sum(column.width + GAP for column in needed) + GAP
    for column in wanted:
        if column.width + GAP <= room:
            chosen.append(column)
            room -= column.width + GAP
    return chosen


def _list_columns(goal: Goal, shown: Overview) -> tuple[list[Column], list[Column]]:
    """The columns that each screen has, and those for which it may have room."""
    rows = shown.top
    needed = [
        Column("trial", [row.label(goal) for row in rows]),
        *(Column(m, [format_number(row.find(m, goal), m) for row in rows]) for m in (goal.first.metric, *list_others(goal))),
        Column("at epoch", [str(row.epoch or "–") for row in rows]),
        Column("status", [row.word for row in rows], left=True),
    ]
    varied = [Column(name, [_shorten_param(row.params, name) for row in rows]) for name in shown.varied]
    have = {column.name for column in needed}
    more = [
        Column(name, [format_number(row.find(metric, goal), metric) for row in rows])
        for metric, name in MORE.items()
        if name not in have
    ]
    return needed, [*varied, *more]


def _shorten_param(params: Mapping[str, str], name: str) -> str:
    return shorten(params[name], 3) if name in params else "–"


def _list_notes(study: str, shown: Overview, hidden: Sequence[str]) -> list[str]:
    """What the table does not say: what is the same in all, what found no room, and why trials failed."""
    notes = []
    if shown.same:
        notes.append("in all: " + ", ".join(f"{name} {shorten(value)}" for name, value in shown.same.items()))
    if hidden:
        notes.append(f"no room for: {', '.join(hidden)}")
    failed = [row for row in shown.top if row.status == "failed" and row.reason][:REASONS]
    notes += [f"trial {row.trial} failed: {row.reason[:200]}" for row in failed]
    if failed and (more := shown.counts.get("failed", 0) - len(failed)) > 0:
        notes.append(f"and {more} more failed; `{format_next('show', f'{study}:TRIAL')}` says why")
    return notes
