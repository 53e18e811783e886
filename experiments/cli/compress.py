"""`tailor compress NAME`: prune, distil and quantize a registered model, and register the variant that is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .hints import format_next
from .options import data_option, json_option, store_option
from .screen import keep_stdout_for_json, print_json, print_table, working
from .stores import open_store

if TYPE_CHECKING:
    from ..compression.compress import Compression

REFUSED = 4


@click.command("compress")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.option("--prune", type=float, multiple=True, metavar="X", help="Prune to this share of zeros, such as 0.8; repeatable.")
@click.option("--distil", metavar="FACTORY|STUDY:TRIAL", help="Distil into a built-in factory's net, or into a trial's.")
@click.option("--student", multiple=True, metavar="KEY=VALUE", help="A hyperparameter of that factory; repeatable.")
@click.option("--int8", is_flag=True, help="Quantize to 8 bits, for LiteRT.")
@click.option("--to", "name", metavar="NAME", help="The registered model's name [NAME].")
@click.option(
    "--epochs", type=int, metavar="N", help="Epochs of each training [a third of the trial's to prune; as many to distil]."
)
@click.option("--rate", type=float, metavar="X", help="Prune at this many times the trial's learning rate [1].")
@click.option("--temperature", type=float, metavar="T", help="Of the soft targets [4].")
@click.option("--alpha", type=float, metavar="X", help="The share of the soft targets in the student's loss [0.7].")
@click.option(
    "--tolerance", type=float, metavar="POINTS", help="How much accuracy on holdout may be lost [1; of one variant, any]."
)
@click.option("--seed", type=int, metavar="N", help="Of the trainings [0].")
@click.option("--dry-run", is_flag=True, help="Show the table, but record and register nothing.")
@click.option("--force", is_flag=True, help="Register it beside a champion of another data set.")
@json_option
@store_option
@data_option
def command(reference: str, as_json: bool, store: str | None, data: Path | None, **given: Any) -> int:
    """Make a registered model (its champion by default) smaller, and register the result as challenger.

    With --to, the first model of a new name becomes its champion.
    Without --prune, --distil or --int8 it tries all: 50, 80 and 90 % pruned, a small distilled net, and each in 8 bits. It takes
    the smallest (gzipped) within the tolerance of the original's accuracy on holdout; a single variant is taken as it is, unless
    you give --tolerance. The promotion then judges it on test. Exit codes: 0 registered, 4 nothing registered: no variant is
    close enough, or a gate refuses it.
    """
    from ..system.forkserver import loading

    with keep_stdout_for_json(as_json), loading():  # TensorFlow, while this process imports MLflow
        done = _compress(reference, as_json, (store, data), dict(given))
    if as_json:
        from dataclasses import asdict

        print_json(asdict(done))
    else:
        _show(done, given["dry_run"])
    refused = done.found.chosen is None or (done.promotion is not None and done.promotion.verdict.outcome == "refused")
    return REFUSED if refused else 0


def _compress(reference: str, as_json: bool, places: tuple[str | None, Path | None], given: dict[str, Any]) -> Compression:
    with working(f"reading {reference}"):
        from rich.console import Console

        from ...search.study.load import check_name
        from ..compression.compress import Target, compress
        from ..compression.records import Asked
        from ..coordinator.display import open_screen
        from ..coordinator.session import Places
        from ..registry.versions import find_version

        name, dry_run, force = (given.pop(key) for key in ("name", "dry_run", "force"))
        asked = Asked(**{key: value for key, value in given.items() if value is not None})
        place, client = open_store(places[0])
        version = find_version(client, reference)
        target = Target(check_name("--to", name or version.name), dry_run, force)
    with place.reserved(), open_screen(Console(stderr=as_json)) as screen:
        return compress(client, version, asked, target, (Places(place, places[1]), screen))


def _show(done: Compression, dry_run: bool) -> None:
    found = done.found
    rows = [
        [
            row.name + (" *" if row == found.chosen else ""),
            f"{row.holdout_accuracy:.4f}",
            f"{row.sparsity:.0%}",
            f"{row.bytes / 1000:,.1f}",
            f"{row.gzip_bytes / 1000:,.1f}",
            f"{row.cost.p50_ms:.3f}",
            f"{row.cost.p99_ms:.3f}",
            f"{row.cost.peak_mb:.0f}",
        ]
        for row in found.rows
    ]
    columns = ("model", "holdout", "zeros", "kB", "gzip kB", "p50 ms", "p99 ms", "peak MB")
    print_table(f"{done.source} made smaller (* chosen)", columns, rows, columns[5:])
    click.echo("One image, one thread, a process each: float32 by TensorFlow, int8 by LiteRT; the memory includes the runtime.")
    if found.chosen is None:
        click.echo("No variant is smaller and within the tolerance, so nothing was registered; see --tolerance and --epochs.")
        return
    click.echo(f"Chosen: {found.chosen.name}, {found.chosen.gzip_bytes / found.rows[0].gzip_bytes:.0%} of the original, gzipped.")
    if dry_run:
        click.echo("A dry run: the test set stays closed, and nothing is recorded or registered.")
    if done.promotion is not None:
        _show_promotion(done)


def _show_promotion(done: Compression) -> None:
    from .promotion import show_refused, show_registered

    promotion, chosen = done.promotion, done.found.chosen
    assert promotion is not None and chosen is not None
    if promotion.verdict.outcome == "refused":
        show_refused(promotion)
        return
    if chosen.int8:
        click.echo(
            "The version holds model.keras, which is judged on test and which Tailor runs; beside it lies model_int8.tflite."
        )
    show_registered(promotion)
    click.echo(f"  {format_next('ui')}    see run {done.found.run_id}: its table and picture")
