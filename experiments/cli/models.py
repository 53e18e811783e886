"""`tailor models [NAME]`: the registered models, or the versions of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .hints import format_next
from .options import json_option, store_option
from .screen import format_when, print_json, print_table, working
from .stores import open_store

if TYPE_CHECKING:
    from ..registry.listing import Registered

SPARE = ("test accuracy", "registered")  # columns to leave out of a narrow screen, the last one first


@click.command("models")
@click.argument("name", required=False)
@json_option
@store_option
def command(name: str | None, as_json: bool, store: str | None) -> None:
    """List the registered models, each by its champion, or every version of NAME."""
    from dataclasses import asdict

    with working("reading the registered models"):
        _, client = open_store(store)
        from ..registry.listing import list_registered

        versions = list_registered(client, name)
    if name is None:
        names = dict.fromkeys(v.name for v in versions)
        mine = [[v for v in versions if v.name == name] for name in names]
        if as_json:
            print_json([asdict(_find_shown(of_name)) | {"versions": len(of_name)} for of_name in mine])
            return
        rows = [[of_name[0].name, *_format(_find_shown(of_name), f" of {of_name[0].version}")] for of_name in mine]
        columns = ["name", "version", "aliases", "test accuracy", "study", "registered"]
        print_table("Registered models (tailor models NAME lists every version)", columns, rows, SPARE)
        if not rows:
            click.echo(f"No model yet. Next:  {format_next('promote', 'STUDY', '--to', 'NAME')}")
    elif as_json:
        print_json([asdict(v) for v in versions])
    else:
        columns = ["version", "aliases", "test accuracy", "study", "registered"]
        print_table(f"Versions of {name}", columns, map(_format, versions), SPARE)
        click.echo(f"Who moved its champion:  {format_next('history', name)}")


def _find_shown(versions: Sequence[Registered]) -> Registered:
    """The champion among a name's versions, or else the newest one, which is the first."""
    return next((v for v in versions if "champion" in v.aliases), versions[0])


def _format(version: Registered, of_how_many: str = "") -> list[str]:
    accuracy = "–" if version.test_accuracy is None else f"{version.test_accuracy:.4f}"
    study = version.study if version.trial is None else f"{version.study}:{version.trial}"
    if len(version.trials) > 1:
        study = f"{version.study}, trials {', '.join(map(str, version.trials))}"
    return [version.version + of_how_many, ", ".join(version.aliases), accuracy, study or "–", format_when(version.when)]
