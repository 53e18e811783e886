"""`tailor promote STUDY --to NAME`: choose a study's best model, judge it, and register it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    data_option,
    find_recorded,
    format_next,
    json_option,
    keep_stdout_for_json,
    open_store,
    print_json,
    print_table,
    store_option,
)

if TYPE_CHECKING:
    from ...search.study.spec import StudySpec
    from ..promotion.records import Promotion

CODES = {"promoted": 0, "challenger": 3, "refused": 4}
GATES = ("candidates", "seeds", "register", "minimum_gain", "recall_drop", "latency_ms", "model_bytes")  # keys of [promotion]


@click.command("promote")
@click.argument("study", metavar="STUDY[:TRIAL]")
@click.option("--to", "name", required=True, metavar="NAME", help="The registered model's name.")
@click.option("--quick", is_flag=True, help="Take the best trial's own model: train nothing again.")
@click.option("--dry-run", is_flag=True, help="Choose, but open no test set and register nothing.")
@click.option("--force", is_flag=True, help="Promote over a champion of another data set.")
@click.option("--candidates", type=int, metavar="N", help="How many of the best trials are trained again [3].")
@click.option("--seeds", type=int, metavar="N", help="On how many fresh seeds each [3].")
@click.option("--register", metavar="median|average", help="What is registered of the winner's seeds [median].")
@click.option("--minimum-gain", type=float, metavar="X", help="Gate: the least gain over the champion on test.")
@click.option("--recall-drop", type=float, metavar="X", help="Gate: how far the recall of the worst class may fall.")
@click.option("--latency-ms", type=float, metavar="X", help="Gate: the most milliseconds an image.")
@click.option("--model-bytes", type=int, metavar="N", help="Gate: the largest .keras file.")
@click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler whose workers train the candidates (tcp://HOST:8786).")
@json_option
@store_option
@data_option
def command(study: str, name: str, as_json: bool, store: str | None, data: Path | None, **given: Any) -> int:
    """Choose STUDY's best model on data that no search has seen, judge it against NAME's champion, and register it.

    The best trials are trained again on fresh seeds and ranked on the holdout split. The winner meets the champion on the test
    split. Exit codes: 0 promoted (champion), 3 registered as challenger (not shown to be better), 4 refused by a gate.
    """
    from ..system.forkserver import loading

    with keep_stdout_for_json(as_json), nullcontext() if given["cluster"] else loading():
        promotion = _promote(study, name, as_json, store, data, given)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(promotion))
    else:
        _show(promotion)
    return 0 if given["dry_run"] else CODES[promotion.verdict.outcome]


def _promote(study: str, name: str, as_json: bool, store: str | None, data: Path | None, given: dict[str, Any]) -> Promotion:
    from rich.console import Console

    from ...search.study.load import check_name
    from ..coordinator.display import open_screen
    from ..coordinator.session import Places
    from ..planning.resolve import open_data
    from ..promotion.promote import Work, promote
    from ..promotion.records import Request, split_reference

    check_name("--to", name)
    where, trial = split_reference(study)
    place, client = open_store(store)
    found = find_recorded(client, where)
    spec = found.read_spec()
    request = Request(name, _plan(where, spec, given), trial, given["quick"], given["dry_run"], given["force"])
    splits = open_data(spec, data)
    with place.reserved(), open_screen(Console(stderr=as_json)) as screen:
        return promote(request, Work(found, spec, splits, Places(place, data, given["cluster"]), screen))


def _plan(study: str, spec: StudySpec, given: dict[str, Any]) -> Any:
    """[promotion] of the study, or of the file that was named, with the options laid over it."""
    from dataclasses import asdict

    from ...search.study.load import load
    from ...search.study.sections import PromotionPlan
    from ...search.study.validate import make
    from ..planning.resolve import find_file

    plan = load(find_file(study)).promotion if study.endswith(".toml") else spec.promotion
    laid = {**asdict(plan), **{key: given[key] for key in GATES if given[key] is not None}}
    return make(PromotionPlan, "promotion", {key: value for key, value in laid.items() if value is not None})


def _show(promotion: Promotion) -> None:
    choice, verdict = promotion.choice, promotion.verdict
    if choice.ranking:
        rows = [
            [
                str(row.trial) + (" *" if row is choice.ranking[0] else ""),
                f"{row.mean:.4f}",
                f"{row.deviation:.4f}",
                " ".join(f"{one:.4f}" for one in row.scores),
                "tied" if row.tied else "behind",
                f"{row.latency_ms:.2f}",
                f"{row.parameters:,}",
            ]
            for row in choice.ranking
        ]
        columns = ("trial", f"mean {choice.metric}", "deviation", "by seed", "", "latency_ms", "parameters")
        print_table("On holdout, which no search has seen (* chosen: the cheapest of those tied with the best)", columns, rows)
    held = f"{choice.metric} {choice.holdout.value:.4f} ({choice.holdout.low:.4f} to {choice.holdout.high:.4f})"
    click.echo(f"Chosen: trial {choice.trial}, {choice.how}: {held} on holdout.")
    if verdict.outcome == "refused":
        click.echo(f"Refused: {verdict.reason}. Nothing was registered.")
        return
    if not promotion.version:
        click.echo("A dry run: the test set stays closed, and nothing is registered.")
        return
    _show_registered(promotion)


def _show_registered(promotion: Promotion) -> None:
    from ...models.references import is_file

    name, verdict, test = promotion.name, promotion.verdict, promotion.test
    if verdict.evidence is not None:
        click.echo(f"Judged: {verdict.evidence.describe()}.")
    elif test is not None:
        click.echo(f"On test: {promotion.choice.metric} {test.value:.4f} ({test.low:.4f} to {test.high:.4f}).")
    alias = promotion.alias or "neither champion nor challenger any more"
    click.echo(f"{name} version {promotion.version} is {alias}: {verdict.reason}.")
    for line in promotion.notes:
        click.echo(line)
    by = f"{name}@{promotion.alias}" if promotion.alias else f"{name}/{promotion.version}"
    click.echo("Next:")
    click.echo(f"  {format_next('predict', by if promotion.alias != 'champion' else name)} IMAGE…    classify images")
    click.echo(f"  {format_next('pull', by, '-o', 'DIR')}    fetch model.keras, its labels and its card")
    click.echo(f"  {format_next('history', name)}    every move of its aliases")
    if is_file(promotion.model):  # its code is in the folder, and tailor.load vouches for it
        click.echo('  tailor.load("DIR")    from a script, what was pulled there')
    else:
        click.echo(f'  mlflow.pyfunc.load_model("models:/{by}")    from a script; see `tailor env`')
