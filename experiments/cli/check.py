"""`tailor check STUDY`: a dry run that resolves the file, builds its smallest and largest model, estimates memory and time."""

from __future__ import annotations

from pathlib import Path

import click

from .common import data_option, json_option, name_option, print_json, print_table, repeat_command, set_option


@click.command("check")
@click.argument("study")
@name_option
@set_option
@json_option
@data_option
def command(study: str, name: str | None, settings: tuple[str, ...], as_json: bool, data: Path | None) -> None:
    """Check STUDY without training it: resolve the file, build its smallest and largest model, estimate memory and time."""
    from dataclasses import asdict

    from ...search import engines
    from ...search.study.capabilities import explain_pruner, explain_repeats
    from ..coordinator.display import format_duration
    from ..planning.estimate import estimate
    from ..planning.keras_tuner_space import discover
    from ..planning.resolve import Overrides, open_data, resolve_study
    from ..system.silence import silence

    spec = resolve_study(study, Overrides(settings, name))
    with silence():
        engines.check(spec)
    splits = open_data(spec, data)
    spec = discover(spec, splits)
    found = estimate(spec, splits)
    if as_json:
        print_json({"study": spec.tables(), **asdict(found), "data_notes": splits.notes})
        return
    sizes = ", ".join(f"{name} {size:,}" for name, size in found.splits.items())
    click.echo(f"{spec.name}: {spec.model} on {spec.dataset} ({sizes}), {found.points}")
    for note in splits.notes:
        click.echo(f"{spec.dataset}: {note}")
    columns = ["model", "parameters", "memory, MB", "ms a batch", "seconds an epoch", "hyperparameters"]
    rows = [
        [
            label,
            f"{size.parameters:,}",
            f"{size.megabytes:,.0f}",
            f"{size.batch_ms:.1f}",
            f"{size.epoch_seconds:.1f}",
            ", ".join(f"{key} {value}" for key, value in size.values.items()),
        ]
        for label, size in (("smallest", found.smallest), ("largest", found.largest))
    ]
    print_table("The smallest and the largest model", columns, rows)
    search = spec.search
    low, high = (format_duration(seconds) for seconds in found.search_seconds)
    click.echo(
        f"{found.trials} trials of at most {search.max_epochs} epochs on {found.workers} workers: {low} to {high} "
        "(less if trials stop early or are pruned)."
    )
    for line in (explain_pruner(spec), explain_repeats(spec), found.note):
        if line:
            click.echo(line)
    click.echo(f"The study is valid. Run it:  {repeat_command('search')}")
