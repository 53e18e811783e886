"""`tailor show STUDY:TRIAL`: one trial in full."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from .hints import format_next
from .options import json_option, store_option
from .screen import print_json, working
from .stores import open_store, repair_if_killed

if TYPE_CHECKING:
    from ..tracking.recorded import RecordedAttempt


@click.command("show")
@click.argument("trial", metavar="STUDY:TRIAL")
@json_option
@store_option
def command(trial: str, as_json: bool, store: str | None) -> None:
    """Show one trial in full. Name it as STUDY:TRIAL (fashion-mlp:3), STUDY:best, or by its run's id."""
    with working(f"reading {trial}"):
        from ..reports.trial_details import draw_sparkline, read_details
        from ..system.words import say_ended
        from ..tracking.leaderboard import format_number, rank, shorten
        from ..tracking.tracker import flatten

        place, client = open_store(store)
        study, found = read_details(client, trial)
        _, repaired = repair_if_killed(study, place)
        if repaired:
            study, found = read_details(client, trial)
    if as_json:
        print_json(found.to_dict())
        return
    for line in repaired:
        click.echo(line)
    word = rank(found.attempts[-1:], study.goal)[0].word
    click.echo(f"{found.study}:{found.trial}  {say_ended(word, found.reason)}")
    if found.place:
        click.echo(f"  error at {found.place}")
    if bars := draw_sparkline(found.curve):
        ends = " → ".join(format_number(value, found.metric) for value in (found.curve[0], found.curve[-1]))
        click.echo(
            f"\n{found.metric}, epochs {found.first_epoch} to {found.first_epoch + len(found.curve) - 1}\n  {bars}  {ends}"
        )
    _print("values", ((key, format_number(value, key)) for key, value in found.values.items()))
    fixed = {*flatten(study.read_spec().training)}
    _print("hyperparameters", ((key, shorten(value, 6)) for key, value in found.params.items() if key not in fixed))
    same = {**{key: value for key, value in found.params.items() if key in fixed}, **found.training}
    _print("the same in every trial", ((key, shorten(str(value), 6)) for key, value in same.items()))
    _print("attempts", ((str(one.attempt), _describe(one)) for one in found.attempts))
    _print("files", ((name, "") for name in found.artifacts))
    click.echo(f"\nrun {found.run_id}, experiment {study.experiment_id}")
    if found.status in ("complete", "pruned"):
        click.echo(f"Train it again:  {format_next('reproduce', f'{found.study}:{found.trial}')}")


def _print(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """A titled list of names and values, the values in one column."""
    rows = list(rows)
    if rows:
        width = max(len(name) for name, _ in rows)
        click.echo(f"\n{title}")
        for name, value in rows:
            click.echo(f"  {name:<{width}}  {value}".rstrip())


def _describe(one: RecordedAttempt) -> str:
    from ..system.words import count, say_ended
    from ..tracking.leaderboard import WORDS

    begun = datetime.fromtimestamp(one.start / 1000).strftime("%Y-%m-%d %H:%M:%S")
    took = "" if one.end is None else f", {(one.end - one.start) / 1000:.1f} s"
    epochs = count(one.epochs, "epoch")
    return f"{say_ended(WORDS.get(one.status, one.status), one.reason)}, {epochs}, from {begun}{took}"
