"""`tailor history NAME`: every move of a registered model's champion and challenger."""

from __future__ import annotations

import click

from .options import json_option, store_option
from .screen import format_when, print_json, print_lines, print_table, working
from .stores import open_store


@click.command("history")
@click.argument("name")
@json_option
@store_option
def command(name: str, as_json: bool, store: str | None) -> None:
    """Show every move of NAME's champion and challenger: when, who, from and to which version, why, and the evidence's run."""
    from dataclasses import asdict

    with working(f"reading the history of {name}"):
        _, client = open_store(store)
        from ..registry.history import find_strays, read_history

        moves, strays = read_history(client, name), find_strays(client, name)
    if as_json:
        print_json({"name": name, "moves": [asdict(move) for move in moves], "moved_by_hand": strays})
        return
    columns = ["move", "when", "who", "alias", "from", "to", "verdict"]
    rows = [[str(m.number), format_when(m.when), m.who, m.alias, m.before or "–", m.after, m.verdict] for m in moves]
    if rows:
        print_table(f"Moves of {name}", columns, rows, spare=("when", "who"))
    else:
        click.echo(f"No move of {name} is recorded.")
    for move in moves:
        print_lines(f"Move {move.number}: {move.reason}{f' (evidence: run {move.run_id})' if move.run_id else ''}")
        if not move.done:
            click.echo(f"Move {move.number} is being made, or was interrupted: then the next promotion or rollback finishes it.")
    for line in strays:
        click.echo(line)
