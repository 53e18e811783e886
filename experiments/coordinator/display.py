"""What you see while a search runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..system.words import count
from ..tracking.leaderboard import count_by_word, format_number, shorten
from .progress import Progress, Screen

HEARTBEAT = 30.0  # seconds between plain lines while trials run


class LiveScreen:
    """A live table, with the events above it."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, progress: Progress) -> None:
        self._live.update(draw_table(progress))

    def line(self, text: str) -> None:
        self._live.console.print(_shown(self._live.console, text))


class PlainScreen:
    """One line for each event, and a summary every half minute."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = time.monotonic()

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self._told >= HEARTBEAT:
            running = ", ".join(
                f"{progress.name(t.trial)} epoch {t.epoch}/{t.epochs}"
                + ("" if t.value is None else f" {format_number(t.value, progress.metric)}")
                for t in progress.running.values()
            )
            self.line(f"{summarize(progress)}; running: {running or 'none'}")

    def line(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(_shown(self._console, text), soft_wrap=True)


def _shown(console: Console, text: str) -> Text:
    """The text, with a ? for each letter that the console's encoding lacks."""
    return Text(text.encode(console.encoding, "replace").decode(console.encoding))


@contextmanager
def open_screen(console: Console) -> Iterator[Screen]:
    """The screen that fits the console."""
    if not console.is_terminal:
        yield PlainScreen(console)
        return
    with Live(Spinner("dots"), console=console, refresh_per_second=4, transient=True) as live:
        yield LiveScreen(live)


class SilentScreen:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        pass

    def line(self, text: str) -> None:
        pass


def choose_screen(quiet: bool) -> AbstractContextManager[Screen]:
    """The screen of a call from Python."""
    return nullcontext(SilentScreen()) if quiet else open_screen(Console())


def draw_table(progress: Progress, now: float | None = None) -> Group:
    """The live view: the best so far with their values, what runs, and the summary below."""
    now = time.monotonic() if now is None else now
    rows = _start_table(f"{progress.study}: {progress.metric}")
    for name in ("trial", "epoch", progress.metric, "time"):
        rows.add_column(name, justify="right", no_wrap=True)
    for trial in sorted(progress.running.values(), key=lambda t: t.trial):
        name = progress.name(trial.trial).removeprefix("trial ") + (f" (attempt {trial.attempt})" if trial.attempt > 1 else "")
        value = format_number(trial.value, progress.metric)
        inside = f" + {trial.share(now):.0%}" if trial.share(now) else ""
        rows.add_row(name, f"{trial.epoch}/{trial.epochs}{inside}", value, format_duration(now - trial.since))
    shown: list[RenderableType] = [rows] if progress.running else []
    if progress.leaders:
        best = _start_table("best so far")
        best.add_column("trial", justify="right", no_wrap=True)
        best.add_column(progress.metric, justify="right", no_wrap=True)
        best.add_column("hyperparameters")  # the only one that may shrink
        for one in progress.leaders:
            values = ", ".join(f"{name} {shorten(str(value), 3)}" for name, value in one.hparams.items())
            best.add_row(
                progress.name(one.trial).removeprefix("trial "),
                format_number(one.value, progress.metric),
                Text(values or "–", no_wrap=True, overflow="ellipsis"),
            )
        shown.insert(0, best)
    return Group(*shown, Text(summarize(progress, now)))


def _start_table(title: str) -> Table:
    heading = Text(title, "bold")
    return Table(title=heading, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def summarize(progress: Progress, now: float | None = None) -> str:
    """One line: best so far, counts, and the time left or why no trial begins any more."""
    best = "none yet" if progress.best is None else _describe_best(progress.best, progress)
    broke = f"{progress.infeasible} infeasible, " if progress.infeasible else ""
    counts = f"{progress.feasible} done, {broke}{progress.pruned} pruned, {progress.failed} failed of {progress.trials}"
    return "; ".join(filter(None, [f"best {best}", counts, _describe_left(progress, time.monotonic() if now is None else now)]))


def _describe_best(best: tuple[int, float], progress: Progress) -> str:
    return f"{format_number(best[1], progress.metric)} ({progress.name(best[0])})"


def _describe_left(progress: Progress, now: float) -> str:
    """What is still to wait for: a stop, the trials that run when no other begins, or the time left."""
    waiting = count(len(progress.running), "trial")
    if progress.stopping:
        return "stopping…"
    ending = "time is up" if progress.deadline is not None and now >= progress.deadline else progress.ending
    if ending == f"{progress.trials} of {progress.trials} trials":
        ending = "all trials have begun"
    if ending and progress.running:
        return f"{ending}: waiting for {waiting}"
    left = progress.time_left(now)
    return "" if left is None else f"about {format_duration(left)} left"


def describe_resumed(progress: Progress, begun: int) -> str:
    """What earlier sessions did, and how many of their trials go on: 3 of 12 trials ended (1 done, 2 pruned), 1 goes on."""
    words = {"done": progress.feasible, "infeasible": progress.infeasible, "pruned": progress.pruned, "failed": progress.failed}
    counts = f" ({count_by_word(words)})" if progress.done else ""
    best = "" if progress.best is None else f", best {_describe_best(progress.best, progress)}"
    on = f", {begun} go{'es' * (begun == 1)} on" if begun else ""
    return f"resuming: {progress.done} of {progress.trials} trials ended{counts}{on}{best}"


def format_duration(seconds: float) -> str:
    """Seconds in words: 45s, 3m 20s, 2h 05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
