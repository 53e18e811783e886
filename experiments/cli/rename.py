"""`tailor rename OLD NEW`: rename a study in every store."""

from __future__ import annotations

import shlex

import click

from .hints import format_next
from .options import store_option
from .screen import working
from .stores import open_store


@click.command("rename")
@click.argument("old")
@click.argument("new")
@store_option
def command(old: str, new: str, store: str | None) -> None:
    """Rename the study OLD to NEW. Registered versions name it by its new name too; their cards keep the old one."""
    with working(f"renaming {old}") as say:
        from ..maintenance.rename import rename
        from ..tracking.pending import is_deleted

        place, client = open_store(store)
        rename(client, place, old, new, say)
        resumes = not is_deleted(client, new)
    click.echo(f"Renamed {old} to {new}. See it with:  {format_next('status', new)}")
    if resumes:
        click.echo(f'To add trials, set name = "{new}" in its study file, or add --name {shlex.quote(new)}.')
