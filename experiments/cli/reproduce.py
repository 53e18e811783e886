"""`tailor reproduce RUN`: train a recorded trial again and compare its numbers."""

from __future__ import annotations

from pathlib import Path

import click

from .exit_codes import DONE, FAILED
from .options import data_option, json_option, store_option
from .screen import keep_stdout_for_json, print_json, print_table, working
from .stores import open_store

MOST = 10  # numbers that are shown


@click.command("reproduce")
@click.argument("run")
@json_option
@store_option
@data_option
def command(run: str, as_json: bool, store: str | None, data: Path | None) -> int:
    """Train a recorded trial again and compare its numbers: exit 0 if all are the same, 1 if not.

    RUN is a run's id, STUDY:TRIAL (fashion-mlp:3), or STUDY:best. Nothing is recorded.
    """
    from rich.console import Console

    from ..coordinator.display import open_screen
    from ..coordinator.reproduce import reproduce
    from ..system.forkserver import loading
    from ..system.words import count

    with working(f"reading {run}"):
        place, client = open_store(store)
    with keep_stdout_for_json(as_json), loading(), open_screen(Console(stderr=as_json)) as screen:
        found = reproduce(client, place, run, data, screen)
    code = DONE if found.same else FAILED
    if as_json:
        print_json(found.to_dict())
        return code
    for note in found.notes:
        click.echo(note)
    for difference in found.differences:
        before = "not recorded" if difference.recorded is None else f"recorded {_shorten(difference.recorded)}"
        click.echo(f"{difference.what}: {before}, now {'none' if difference.now is None else _shorten(difference.now)}")
    name = f"trial {found.trial} of {found.study}"
    if found.failure:
        click.echo(f"Not reproduced: {name} failed this time: {found.failure}")
    elif found.same:
        click.echo(f"The same numbers: {name}, {count(found.epochs, 'epoch')}, all {found.compared} numbers.")
    else:
        rows = [
            ["–" if one.epoch is None else str(one.epoch), one.metric, _exact(one.recorded), _exact(one.now)]
            for one in found.numbers[:MOST]
        ]
        print_table("The first numbers that differ", ["epoch", "metric", "recorded", "now"], rows)
        why = "" if found.differences else "; nothing else that is recorded differs"
        click.echo(f"Not the same numbers: {name}, {len(found.numbers)} of {found.compared} differ{why}.")
    return code


def _shorten(text: str) -> str:
    """A value as a line shows it, digests and commits by their first letters."""
    return text[:12] if len(text) >= 40 and text.isalnum() else text


def _exact(value: float | None) -> str:
    return "–" if value is None else repr(value)
