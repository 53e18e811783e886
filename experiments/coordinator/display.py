"""What you see while a search runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

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
                f"{progress.name(t.trial)} epoch {t.epoch}/{t.epochs}" + (f" {t.value:.4f}" if t.value is not None else "")
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
    with Live(console=console, refresh_per_second=4, transient=True) as live:
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


def draw_table(progress: Progress) -> Group:
    """The live view: a row for each running trial, and the summary below."""
    rows = Table(title=f"{progress.study}: {progress.metric}", title_justify="left", title_style="bold")
    for name in ("trial", "epoch", progress.metric, "seconds"):
        rows.add_column(name, justify="right")
    for trial in sorted(progress.running.values(), key=lambda t: t.trial):
        name = progress.name(trial.trial).removeprefix("trial ") + (f" (attempt {trial.attempt})" if trial.attempt > 1 else "")
        value = "-" if trial.value is None else f"{trial.value:.4f}"
        rows.add_row(name, f"{trial.epoch}/{trial.epochs}", value, f"{time.monotonic() - trial.since:.0f}")
    return Group(rows, Text(summarize(progress)))


def summarize(progress: Progress) -> str:
    """One line: best so far, counts, time left."""
    best = "none yet" if progress.best is None else f"{progress.best[1]:.4f} ({progress.name(progress.best[0])})"
    counts = f"{progress.complete} done, {progress.pruned} pruned, {progress.failed} failed of {progress.trials}"
    left = progress.time_left(time.monotonic())
    return f"best {best}; {counts}; {'' if left is None else f'about {format_duration(left)} left'}".removesuffix("; ")


def format_duration(seconds: float) -> str:
    """Seconds in words: 45s, 3m 20s, 2h 05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
