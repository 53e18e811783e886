"""`tailor rollback NAME`: the champion before the present one is champion again."""

from __future__ import annotations

import click

from .hints import format_by_hand, format_next
from .options import json_option, store_option
from .screen import print_json, working
from .stores import open_store


@click.command("rollback")
@click.argument("name")
@json_option
@store_option
def command(name: str, as_json: bool, store: str | None) -> None:
    """Make the version of NAME that was champion before champion again. A second rollback goes one further back."""
    from dataclasses import asdict

    with working(f"reading the versions of {name}"):
        place, client = open_store(store)
        from ..registry.name_lock import hold_name
        from ..registry.rollback import rollback
        from ..registry.versions import find_model

        find_model(client, name)  # or a name that is not there is refused
    with hold_name(client, place, name, lambda line: click.echo(line, err=True)) as still_mine:
        move = rollback(client, name, still_mine)
    if as_json:
        print_json(asdict(move))
        return
    click.echo(f"{name} version {move.after} is champion again; {move.reason}. No file was touched, and no version deleted.")
    click.echo("Next:")
    click.echo(f"  {format_next('history', name)}    who moved its champion, when and why")
    if move.before:
        click.echo(f"To undo it:\n  {format_by_hand(name, move.before)}")
