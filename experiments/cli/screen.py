"""What commands print: tables, JSON, a sign of life, and what to run next."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table

AT_ONCE = 0.5  # seconds without a sign of life
LEFT = {"", "study", "status", "hyperparameters", "model", "true", "taken for"}  # the columns of texts
LEFT |= {"from–to", "scale", "condition", "dataset", "sampler", "name", "aliases", "who", "alias", "verdict", "reason"}
WHOLE = {"when", "registered"}  # columns of moments, which are read at a glance
GAP = 2  # spaces between columns


@contextmanager
def keep_stdout_for_json(wanted: bool) -> Iterator[None]:
    """If `wanted`, send all other output, also that of workers and custom models, to standard error."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


def print_json(value: Any) -> None:
    """Print plain data as JSON; with escapes if the encoding of standard output lacks letters."""
    whole = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(_without_nan(value), indent=2, ensure_ascii=not whole, default=str, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """The same data with null for what JSON has no number for: NaN and infinities."""
    if isinstance(value, Mapping):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show that the command works: a spinner on a terminal; else one line on standard error, unless the block is done at once.

    Print in the block by the yielded function alone, which shows a line on standard error at once. Every command that opens a
    store, reads data or loads TensorFlow does that in such a block.
    """
    if sys.stderr.isatty():
        from rich.text import Text

        console = open_console(err=True)
        with console.status(text):
            yield lambda line: console.print(Text(line))
        return
    stderr = os.dup(2)  # the block may silence the libraries' own

    def show(line: str) -> None:
        os.write(stderr, f"{line}\n".encode(sys.stderr.encoding or "utf-8", "replace"))

    timer = threading.Timer(AT_ONCE, show, [f"{text} …"])
    timer.start()
    try:
        yield show
    finally:
        timer.cancel()
        timer.join()
        os.close(stderr)


def open_console(err: bool = False) -> Console:
    """The console of all tables: as wide as COLUMNS, or the terminal, or else 80."""
    from rich.console import Console

    return Console(stderr=err, highlight=False)


def make_table() -> Table:
    """An empty table in the one look of all: headings over a line, two spaces between columns."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def show_table(console: Console, title: str, table: Table) -> None:
    """Print a table under its title. (Rich would break a table's own title at the table's width.)"""
    from rich.text import Text

    console.print(Text(title, "bold"))
    console.print(table)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], spare: Sequence[str] = ()) -> None:
    """Print a table as wide as the console, and break no cell of it if leaving out `spare` columns, the last one first, helps."""
    from rich.text import Text

    console, table = open_console(), make_table()
    cells = dict(zip(columns, zip(*rows, strict=True), strict=False))
    widths = {column: _measure(column, cells.get(column, ())) for column in columns}
    hidden = choose_hidden(widths, spare, console.width)
    shown = {column: width for column, width in widths.items() if column not in (hidden or ())}
    for column, width in shown.items():
        least = None if hidden is None else width
        side: JustifyMethod = "left" if column in LEFT else "right"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column in WHOLE, min_width=least)
    for row in zip(*(cells[column] for column in shown if cells), strict=True):
        table.add_row(*map(Text, row))  # as Text: names may hold brackets, which rich would read as markup
    show_table(console, title, table)
    if hidden:
        print_lines(f"no room for: {', '.join(hidden)}")


def choose_hidden(widths: Mapping[str, int], spare: Sequence[str], width: int) -> list[str] | None:
    """The last of the spare columns, as few as make room for the others; None if leaving them out makes not enough."""
    for count in range(len(spare) + 1):
        hidden = list(spare[len(spare) - count :])
        kept = [one for name, one in widths.items() if name not in hidden]
        if sum(kept) + GAP * (len(kept) - 1) <= width:
            return hidden
    return None


def _measure(name: str, cells: Sequence[str]) -> int:
    """The width of a column whose cells are whole, those that are lists broken after commas, and its heading at spaces."""
    words = (word for cell in cells for word in (cell.split() if ", " in cell else [cell]))
    return max(map(len, [*name.split(), *words, ""]))


def print_lines(*lines: str) -> None:
    """Print lines, wrapped between words at the console's width."""
    from rich.text import Text

    console = open_console()
    for line in lines:
        console.print(Text(line))


def print_next(steps: Iterable[tuple[str, str]]) -> None:
    """Print commands to run next, each on one line that is never broken, with what it does beside it, or below if it is long."""
    steps, width = list(steps), open_console().width
    longest = max((len(command) for command, _ in steps if len(command) <= width // 2), default=0)
    click.echo("Next:")
    for command, what in steps:
        beside = f"  {command:<{longest}}   {what}"
        click.echo(beside if len(beside) <= width else f"  {command}\n      {what}")


def format_when(iso: str) -> str:
    """A recorded moment as people read it: this machine's time, to the minute."""
    from datetime import datetime

    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
