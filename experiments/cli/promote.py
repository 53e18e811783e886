"""`tailor promote STUDY --to NAME`: register a study's best model."""

from __future__ import annotations

from pathlib import Path

import click

from .common import data_option, find_recorded, format_next, json_option, open_store, print_json, store_option

NOT_BETTER = 3


@click.command("promote")
@click.argument("study")
@click.option("--to", "name", required=True, metavar="NAME", help="The registered model's name.")
@json_option
@store_option
@data_option
def command(study: str, name: str, as_json: bool, store: str | None, data: Path | None) -> int:
    """Register STUDY's best model under NAME: as champion, or as challenger (exit 3) where it is no better than the champion."""
    import hashlib
    from dataclasses import asdict

    from ...models.references import is_file
    from ...search.study.load import check_name
    from ..planning.resolve import open_data
    from ..registry.promote import promote
    from ..registry.versions import CHAMPION
    from ..system.file_lock import hold_lock
    from ..trials.chance import warn_near_chance

    check_name("--to", name)
    place, client = open_store(store)
    found = find_recorded(client, study)
    spec = found.read_spec()
    splits = open_data(spec, data)
    lock = f".promote-{hashlib.sha256(name.encode()).hexdigest()[:16]}"  # a name may be as long as a file's
    with place.reserved(), hold_lock(place.locks / lock):  # or two at once would register one model twice
        promotion = promote(found, spec, splits, name)
    if as_json:
        print_json(asdict(promotion))
    else:
        where = f"{promotion.name} version {promotion.version}"
        by = f"{name}@{promotion.alias}" if promotion.alias else f"{name}/{promotion.version}"
        alias = promotion.alias or "neither champion nor challenger any more"
        click.echo(f"{where} is {alias}: trial {promotion.row.trial} of {spec.name}; {promotion.verdict.reason}.")
        if promotion.test is not None:
            test = promotion.test
            click.echo(f"On the test images, opened once for its card: accuracy {test.accuracy:.4f}, loss {test.loss:.4f}.")
            if warning := warn_near_chance(f"trial {promotion.row.trial}", test.accuracy, splits.test.labels, splits.class_names):
                click.echo(warning)
        click.echo("Next:")
        click.echo(f"  {format_next('predict', name)} IMAGE…    classify images")
        click.echo(f"  {format_next('pull', by, '-o', 'DIR')}    fetch model.keras, its labels and its card")
        if is_file(spec.model):  # what it is built of is in the folder, and tailor.load vouches for it
            click.echo('  tailor.load("DIR")    from a script, what was pulled there')
        else:
            click.echo(f'  mlflow.pyfunc.load_model("models:/{by}")    from a script; see `tailor env`')
    return 0 if promotion.alias == CHAMPION else NOT_BETTER
