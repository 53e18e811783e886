"""`tailor status STUDY --watch`: the leaderboard as it grows, until the study ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..tracking.recorded import StudyRecord

EVERY = 2.0  # seconds between two looks
ROWS = 10


def watch(name: str, folder: str | None) -> None:
    """Show the study until its search ends, was killed, or Ctrl-C; without a terminal nothing."""
    from rich.console import Console
    from rich.live import Live

    from .stores import find_shown, is_taken_up

    console = Console()
    if not console.is_terminal:
        return
    place, study, _ = find_shown(folder, name)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while study.running or is_taken_up(study, place):
            live.update(_draw(study), refresh=True)
            try:
                time.sleep(EVERY)
            except KeyboardInterrupt:
                return
            _, study, _ = find_shown(folder, study.name)


def _draw(study: StudyRecord) -> Table:
    """A line a trial: those that run first, with their last value, then the best."""
    from rich.table import Table
    from rich.text import Text

    from ..tracking.leaderboard import count_by_word, count_rows, format_number, rank

    attempts = study.read_attempts()
    last = {one.run_id: one.metrics for one in attempts}
    board, metric = rank(attempts, study.goal), study.goal.first.metric
    running, ended = [row for row in board if row.status == "running"], [row for row in board if row.status != "running"]
    table = Table(title=f"{study.name}: {count_by_word(count_rows(board))}", title_justify="left")
    for name in ("trial", metric, "status"):
        table.add_column(name, justify="left" if name == "status" else "right")
    for row in [*running, *ended[: max(ROWS - len(running), 1)]]:
        value = row.value if row.value is not None else last[row.run_id].get(metric)
        table.add_row(row.label(study.goal), format_number(value, metric), Text(row.standing))
    return table
