"""`tailor search STUDY`: run a study, or resume it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .exit_codes import FAILED, choose_exit_code
from .hints import add_options, format_next, repeat_command
from .options import data_option, json_option, store_option
from .screen import keep_stdout_for_json, print_json, print_next
from .stores import store_at
from .study_options import resolve, study_options

if TYPE_CHECKING:
    from ...search.study.spec import StudySpec
    from ..coordinator.finish import Ended
    from ..coordinator.progress import Screen
    from ..store import Store

ONCE = ("--fresh",)  # not in the commands to run next, once that is done
WAYS_ON = {  # by words of the reason for which a search ended: what continues it, and how
    "the time is up": ("", "go on"),
    "no improvement": ("--set search.patience=N", "go on, with more patience"),
    "reached the target": ("--set search.target=X", "go on, to a better value"),
    "all failed": ("", "go on, once that is repaired"),
    "epochs are spent": ("--set search.total_epochs=N", "go on, with more epochs"),
    "the 1 epoch is spent": ("--set search.total_epochs=N", "go on, with more epochs"),
}


@click.command("search")
@click.argument("study")
@study_options
@click.option("--cluster", metavar="ADDRESS", help="Use the workers of a Dask scheduler, tcp://HOST:PORT.")
@click.option("--enqueue-from", metavar="STUDY", help="First try the best points of another study in the store.")
@click.option("--fresh", is_flag=True, help="Begin anew; the study of that name is kept as NAME-1, or the next free number.")
@json_option
@store_option
@data_option
def command(study: str, name: str | None, settings: tuple[str, ...], cluster: str | None, as_json: bool, **given: Any) -> int:
    """Run STUDY (a shipped study's name, or a file), or resume it."""
    from ...search.study.capabilities import count_trials
    from ..system.words import count

    with keep_stdout_for_json(as_json):
        spec = resolve(study, name, settings, given)
        click.echo(f"{spec.name}: {spec.model} on {spec.dataset}, up to {count(count_trials(spec), 'trial')}", err=as_json)
        with _workers_loading(cluster):  # first: the imports below take as long as TensorFlow does there
            from rich.console import Console

            from ..coordinator.display import open_screen
            from ..coordinator.session import Places, run_search
            from ..errors import ClusterGone, RunError

            made_room = False

            def repeat(but: Sequence[str] = ()) -> str:
                """The command to run next. Once room was made, the name is the new study's, which has the other's points."""
                own = ("--enqueue-from",) if made_room and given["enqueue_from"] == spec.name else ()
                return repeat_command(but=(*but, *own), without=ONCE if made_room else ())

            def make_room(name: str) -> None:
                nonlocal made_room
                _set_aside(name, places.store, shown)
                made_room = True

            places = Places(store_at(given["store"]), given["data"], cluster, given["enqueue_from"])
            try:
                with open_screen(Console(stderr=as_json)) as shown:
                    ended = run_search(spec, replace(places, make_room=make_room) if given["fresh"] else places, shown)
            except KeyboardInterrupt:  # a second signal, or one before the search began
                click.echo(f"Nothing is lost; resume with:  {repeat()}", err=True)
                raise
            except ClusterGone as error:
                raise RunError(f"{error}:  {repeat()}") from error
    again = repeat()
    if ended.waiting:
        lost = "Nothing is lost; when MLflow is back, resume with:"
        click.echo(f"MLflow cannot be written to, and {ended.waiting}. {lost}  {again}", err=as_json)
        return choose_exit_code(ended.signal) or FAILED
    if as_json:
        _print(spec, places.store, ended)
    else:
        _close(spec.name, places.store, ended, repeat)
    return choose_exit_code(ended.signal)


def _set_aside(study: str, store: Store, screen: Screen) -> None:
    from ..maintenance.rename import set_aside

    set_aside(study, store, lambda line: screen.line(add_options(line, sys.argv[1:])))


def _workers_loading(cluster: str | None) -> AbstractContextManager[None]:
    """Load the process that workers fork from, for the block; not for a cluster's workers."""
    from ..system.forkserver import loading

    return loading() if cluster is None else nullcontext()


def _print(spec: StudySpec, store: Store, ended: Ended) -> None:
    """Print the study as `tailor status --json` does, with how this session ended."""
    from ..tracking.reader import find_study, open_client
    from .leaderboard import describe_state

    if (found := find_study(open_client(store), spec.name)) is not None:
        print_json({**describe_state(store, found, found.read_spec()), "ended": "stopped" if ended.signal else ended.reason})


def _close(study: str, store: Store, ended: Ended, repeat: Callable[..., str]) -> None:
    """Print the leaderboard, how the search ended, the best trial, and the commands to run next."""
    from ..tracking.leaderboard import count_by_word, find_best, read_overview
    from ..tracking.reader import find_study, open_client
    from .leaderboard import print_leaderboard

    found = find_study(open_client(store), study)
    if found is None:
        return
    shown = read_overview(found)
    print_leaderboard(study, found.goal, shown)
    counted = count_by_word(shown.counts)
    if ended.signal:
        click.echo(f"Stopped: {counted}. Nothing is lost; resume with:  {repeat()}")
        return
    click.echo(f"Finished: {ended.reason} ({counted}).")
    promote = (format_next("promote", study, "--to", "NAME"), "register the best model")
    print_next(
        [
            *([promote] if ended.promotable and find_best(shown.top) is not None else []),
            (format_next("report", study), "write the report as a page"),
            (format_next("ui", study), "compare the trials in MLflow"),
            *([] if ended.spent else [find_way_on(ended.reason, repeat)]),
        ]
    )


def find_way_on(reason: str, repeat: Callable[..., str]) -> tuple[str, str]:
    """The command that continues a search which ended for that reason, and what it does; `repeat` makes it, but for options."""
    for why, (option, what) in WAYS_ON.items():
        if why in reason:
            return f"{repeat()} {option}".rstrip(), what
    return f"{repeat(['--trials'])} --trials N", "add trials"
