"""`tailor compare RUN RUN…`: parameters that differ, metrics, and the difference of the confusion matrices."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from .options import json_option, store_option
from .screen import print_json, print_table, working
from .stores import open_store

RUN_ID = re.compile("[0-9a-f]{32}")


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@json_option
@store_option
def command(runs: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Set trials side by side. RUN is a run's id, STUDY:TRIAL (fashion-mlp:3), or STUDY:best."""
    from ..errors import InputError, write_command

    if len(runs) < 2:
        study = "STUDY" if RUN_ID.fullmatch(runs[0]) else runs[0].partition(":")[0]
        example = write_command("compare", f"{study}:best", f"{study}:TRIAL")
        raise InputError(f"RUN: expected at least two, got {len(runs)}; name another trial: {example}.")
    with working("reading the trials"):
        _, client = open_store(store)
        from ..reports.compare import compare

        found = compare(client, runs)
    if as_json:
        print_json(found.to_dict())
        return
    names = list(found.runs)
    parameters = [[key, *_shorten(values)] for key, values in found.params.items()]
    if parameters:
        print_table("Hyperparameters that differ", ["", *names], parameters)
    else:
        click.echo("No hyperparameter differs.")
    metrics = [[key, *(number(v) for v in values)] for key, values in found.metrics.items()]
    print_table("Metrics", ["", *names], metrics)
    if not found.same_images:
        click.echo("These runs were validated on different images, so do not compare their metrics or confusions.")
    if found.confusions:
        columns = ["true", "taken for", names[0], names[-1], "difference"]
        cells = [
            [c["true"], c["predicted"], str(c["before"]), str(c["after"]), f"{c['after'] - c['before']:+d}"]
            for c in found.confusions
        ]
        print_table(f"Confusions of {names[0]} and {names[-1]} that differ most, on the validation images", columns, cells)


def _shorten(values: Sequence[str | None]) -> list[str]:
    """A hyperparameter's values as a table shows them, whole if two would look alike."""
    from ..tracking.leaderboard import shorten

    short = ["–" if value is None else shorten(value) for value in values]
    return short if len({*short}) == len({*values}) else [value or "–" for value in values]


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.5g}"
