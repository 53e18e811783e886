"""What several commands share: options, the store that they open, tables and JSON."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from ..system.file_lock import is_locked, was_locked
from ..system.redact import mask_passwords
from .hints import list_places

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from rich.console import Console
    from rich.table import Table

    from ..store import Store
    from ..tracking.reader import RecordedStudy
    from ..tracking.recorded import StudyRecord

F = TypeVar("F", bound=Callable[..., Any])
STUDIES = "tailor.studies"
AT_ONCE = 0.5  # seconds without a sign of life
LEFT = {"", "study", "status", "hyperparameters", "model", "true", "taken for"}  # the columns of texts
LEFT |= {"from–to", "scale", "condition", "dataset", "sampler", "name", "aliases", "who", "alias", "verdict", "reason"}

WHOLE = {"when", "registered"}  # columns of moments, which are read at a glance


def store_option(command: F) -> F:
    """Add `--store` and `--studies`; `store_at` reads both."""

    def set_studies(context: click.Context, parameter: click.Parameter, url: str | None) -> None:
        context.meta[STUDIES] = url

    command = click.option(
        "--studies",
        metavar="URL",
        expose_value=False,
        callback=set_studies,
        help="Optuna's database, such as postgresql+psycopg://USER@HOST/DB [TAILOR_STUDIES, a file in the store].",
    )(command)
    return click.option("--store", metavar="DIR", help="The folder that holds everything [TAILOR_STORE, ./mlruns].")(command)


def _refuse_dataset(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
    """Raise UsageError for a data set's name, as study.dataset has it."""
    if folder is not None and str(folder).startswith(("folder:", "npz:", "idx:")):
        raise click.UsageError(
            f"--data: expected the folder of published data sets, got the data set {str(folder)!r}; "
            "name that in the study file, as study.dataset, or give it to `tailor init` as --dataset.",
            context,
        )
    return folder


data_option: Callable[[F], F] = click.option(
    "--data",
    envvar="TAILOR_DATA",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_refuse_dataset,
    help="The folder of published data sets [TAILOR_DATA].",
)
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
name_option: Callable[[F], F] = click.option("--name", metavar="NAME", help="Keep the study under another name.")
set_option: Callable[[F], F] = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Set any key of the study file; repeatable."
)


def store_at(folder: str | None) -> Store:
    """The store that the command's options name; opens and creates nothing."""
    from ..store import Store

    return Store.at(folder, studies=click.get_current_context().meta.get(STUDIES))


def open_store(folder: str | None) -> tuple[Store, MlflowClient]:
    """The store and a client on it. Raises InputError if no study was recorded in it."""
    from ..errors import InputError

    store = store_at(folder)
    if not store.exists:
        raise InputError(
            f"--store: there is no study in {store.root} yet; start one with `tailor search` and its file (or quickstart), "
            "or name another store."
        )
    from ..tracking.question import require_database
    from ..tracking.reader import open_client  # after the refusal: it takes a second to import

    require_database(store)
    return store, open_client(store)


def find_recorded(client: MlflowClient, study: str) -> RecordedStudy:
    """Find a recorded study by its name, or by its study file. Raises InputError that lists the recorded ones."""
    from ..tracking.reader import find_study, no_study

    name = _find_name(study)
    found = find_study(client, name)
    if found is None:
        raise no_study("STUDY", name, client)
    return found


def find_shown(folder: str | None, study: str) -> tuple[Store, StudyRecord, list[str]]:
    """The store, and a study of it to show, found as `find_recorded` does, with a line for each repair.

    A local store is read without MLflow, unless the study needs a repair.
    """
    from ..tracking.local import find_local_study

    place, name = store_at(folder), _find_name(study)
    local = find_local_study(place, name)
    if local is not None and (not local.running or is_locked(place.locks, local.name)):
        return place, local, []
    place, client = open_store(folder)
    recorded, lines = repair_if_killed(find_recorded(client, name), place)
    return place, recorded, lines


def _find_name(study: str) -> str:
    """The study's name, also if its file is given."""
    if not study.endswith(".toml"):
        return study
    from ...search.study.load import load
    from ..planning.resolve import find_file

    return load(find_file(study)).name


def repair_if_killed(study: RecordedStudy, store: Store) -> tuple[RecordedStudy, list[str]]:
    """Repair what a killed search left. Returns the study and a line for each repair; no repair while a search runs."""
    if not study.running:
        return study, []
    from ..coordinator.fsck import repair
    from ..errors import InputError

    try:
        lines = repair(study, store)
    except InputError:  # a search holds the lock
        return study, []
    return study.refresh(), lines


def is_taken_up(study: StudyRecord, store: Store) -> bool:
    """Whether a search begins that will resume a killed study: it holds the study, and has not recorded yet that it runs."""
    return not study.running and "tailor.ended" not in study.tags and is_locked(store.locks, study.name)


def find_word(study: StudyRecord, store: Store) -> str:
    """The study's state in one word, by its run and, of a local store, by whether a search holds it."""
    if store.local and study.running and was_locked(store.locks, study.name) and not is_locked(store.locks, study.name):
        return "stopped"  # killed, and not repaired yet
    return "running" if is_taken_up(study, store) else study.word


def format_next(*words: str) -> str:
    """A command to run next, quoted for a shell, with this command's `--store`, `--studies` and `--data`, if it was given."""
    context, given = click.get_current_context(silent=True), dict[str, str | None]()
    if context is not None:
        given = {"--store": context.params.get("store"), "--studies": context.meta.get(STUDIES)}
        if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:  # a variable holds for the next command too
            given["--data"] = str(context.params["data"])
    return mask_passwords(shlex.join(["tailor", *words, *list_places(words[0], given)]))


def repeat_command(command: str = "", but: str = "", without: Sequence[str] = ()) -> str:
    """The command line as you typed it, for another command, or without the option `but` and the flags `without`."""
    words, given = ["tailor"], iter(sys.argv[1:])
    for word in given:
        if word == but:
            next(given, None)
        elif word not in without and not (but and word.startswith(f"{but}=")):
            words.append(word)
    words[1:2] = [command or words[1]]
    return mask_passwords(shlex.join(words))


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


def print_lines(*lines: str) -> None:
    """Print lines, wrapped between words at the console's width."""
    from rich.text import Text

    console = open_console()
    for line in lines:
        console.print(Text(line))


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show that the command works: a spinner on a terminal; else one line on standard error, unless the block is done at once.

    Print nothing in the block. Every command that opens a store, reads data or loads TensorFlow does that in such a block.
    """
    if sys.stderr.isatty():
        with open_console(err=True).status(text):
            yield
        return
    stderr = os.dup(2)  # the block may silence the libraries' own
    line = f"{text} …\n".encode(sys.stderr.encoding or "utf-8", "replace")
    timer = threading.Timer(AT_ONCE, os.write, (stderr, line))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        os.close(stderr)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the console."""
    from rich.text import Text

    table = make_table()
    for column in columns:
        table.add_column(column, justify="left" if column in LEFT else "right", overflow="fold", no_wrap=column in WHOLE)
    for row in rows:
        table.add_row(*map(Text, row))  # as Text: names may hold brackets, which rich would read as markup
    show_table(open_console(), title, table)


def format_when(iso: str) -> str:
    """A recorded moment as people read it: this machine's time, to the minute."""
    from datetime import datetime

    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")


def print_next(steps: Iterable[tuple[str, str]]) -> None:
    """Print commands to run next, each on one line that is never broken, with what it does beside it, or below if it is long."""
    steps, width = list(steps), open_console().width
    longest = max((len(command) for command, _ in steps if len(command) <= width // 2), default=0)
    click.echo("Next:")
    for command, what in steps:
        beside = f"  {command:<{longest}}   {what}"
        click.echo(beside if len(beside) <= width else f"  {command}\n      {what}")


def format_by_hand(name: str, version: str) -> str:
    """The line that makes that version the champion without any judgement: MLflow's own call."""
    from ..registry.versions import CHAMPION

    code = f'from mlflow import MlflowClient; MlflowClient().set_registered_model_alias("{name}", "{CHAMPION}", "{version}")'
    return f'eval "$({format_next("env")})"; {shlex.join(["python", "-c", code])}'
