"""What `promote` and `ensemble` share: their options, the promotion itself, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .hints import format_by_hand, format_next
from .screen import keep_stdout_for_json, print_json, print_next, print_table, working
from .stores import find_recorded, open_store

if TYPE_CHECKING:
    from ...search.study.spec import StudySpec
    from ..promotion.records import Choice, Promotion, Way

F = TypeVar("F", bound=Callable[..., Any])
CODES = {"promoted": 0, "challenger": 3, "refused": 4}
OPTIONS = (
    click.option("--to", "name", required=True, metavar="NAME", help="The registered model's name."),
    click.option("--dry-run", is_flag=True, help="Choose, but open no test set and register nothing."),
    click.option("--force", is_flag=True, help="Promote over a champion of another data set."),
    click.option("--minimum-gain", type=float, metavar="X", help="Gate: the least gain over the champion on test."),
    click.option("--recall-drop", type=float, metavar="X", help="Gate: how far the recall of the worst class may fall."),
    click.option("--latency-ms", type=float, metavar="X", help="Gate: the most milliseconds an image."),
    click.option("--model-bytes", type=int, metavar="N", help="Gate: the largest .keras file."),
)
KEYS = ("candidates", "seeds", "register", "ensemble", "minimum_gain", "recall_drop", "latency_ms", "model_bytes")


def promotion_options(command: F) -> F:
    """The options that every kind of promotion has."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def run_promotion(study: str, way: Way, as_json: bool, given: Mapping[str, Any]) -> int:
    """Promote, show what became of it, and return the exit code."""
    from ..system.forkserver import loading

    with keep_stdout_for_json(as_json), nullcontext() if given.get("cluster") else loading():
        promotion = _promote(study, way, as_json, given)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(promotion))
    else:
        _show(promotion)
    return 0 if given["dry_run"] else CODES[promotion.verdict.outcome]


def _promote(study: str, way: Way, as_json: bool, given: Mapping[str, Any]) -> Promotion:
    with working(f"reading study {study}"):
        from rich.console import Console

        from ...search.study.load import check_name
        from ..coordinator.display import open_screen
        from ..coordinator.session import Places
        from ..planning.resolve import open_data
        from ..promotion.promote import promote
        from ..promotion.records import Request, Work, check_quick
        from ..tracking.references import find_trial_number, split_reference

        name = check_name("--to", given["name"])
        if way == "quick":
            check_quick(key for key, value in given.items() if value is not None)
        where, trial = split_reference(study)
        place, client = open_store(given["store"])
        found = find_recorded(client, where)
        spec = found.read_spec()
        request = Request(name, _plan(where, spec, given), way, find_trial_number(found, trial), given["dry_run"], given["force"])
        splits = open_data(spec, given["data"])
    with place.reserved(), open_screen(Console(stderr=as_json)) as screen:
        return promote(request, Work(found, spec, splits, Places(place, given["data"], given.get("cluster")), screen))


def _plan(study: str, spec: StudySpec, given: Mapping[str, Any]) -> Any:
    """[promotion] of the study, or of the file that was named, with the options laid over it."""
    from dataclasses import asdict

    from ...search.study.load import load
    from ...search.study.sections import PromotionPlan
    from ...search.study.validate import make
    from ..planning.resolve import find_file

    plan = load(find_file(study)).promotion if study.endswith(".toml") else spec.promotion
    laid = {**asdict(plan), **{key: given[key] for key in KEYS if given.get(key) is not None}}
    return make(PromotionPlan, "promotion", {key: value for key, value in laid.items() if value is not None})


def _show(promotion: Promotion) -> None:
    if promotion.choice is not None:
        _show_choice(promotion.choice)
    if promotion.verdict.outcome == "refused":
        show_refused(promotion)
        return
    if not promotion.version:
        click.echo("A dry run: the test set stays closed, and nothing is registered.")
        return
    show_registered(promotion)


def _show_choice(choice: Choice) -> None:
    from ..promotion.ranking import show_deviation

    if choice.ranking:
        rows = [
            [
                str(row.trial) + (" *" if row is choice.ranking[0] else ""),
                f"{row.mean:.4f}",
                show_deviation(row),
                "–".join(dict.fromkeys(f"{one:.4f}" for one in (min(row.scores), max(row.scores)))),
                "tied" if row.tied else "behind",
                f"{row.latency_ms:.2f}",
                f"{row.parameters:,}",
            ]
            for row in choice.ranking
        ]
        columns = ("trial", f"mean {choice.metric}", "deviation", "from–to", "", "latency_ms", "parameters")
        print_table("On holdout, which no search has seen (* chosen: the cheapest of those tied)", columns, rows, columns[5:])
    held = f"{choice.metric} {choice.holdout.value:.4f} ({choice.holdout.low:.4f} to {choice.holdout.high:.4f})"
    click.echo(f"Chosen: {choice.source}, {choice.how}: {held} on holdout.")


def show_refused(promotion: Promotion) -> None:
    """Show why nothing was registered, and what was seen of the test set if it was opened."""
    _show_judgement(promotion)
    click.echo(f"Refused: {promotion.verdict.reason}. Nothing was registered.")
    for line in promotion.notes:
        click.echo(line)


def _show_judgement(promotion: Promotion) -> None:
    """Show what the test set said, if it was opened."""
    evidence, test = promotion.verdict.evidence, promotion.test
    if evidence is not None:
        click.echo(f"Judged: {evidence.describe()}.")
    elif test is not None and promotion.choice is not None:
        click.echo(f"On test: {promotion.choice.metric} {test.value:.4f} ({test.low:.4f} to {test.high:.4f}).")


def show_registered(promotion: Promotion) -> None:
    """Show what was registered, why, and what to run next."""
    from ...models.references import is_file

    name, verdict = promotion.name, promotion.verdict
    _show_judgement(promotion)
    alias = promotion.alias or "neither champion nor challenger any more"
    click.echo(f"{name} version {promotion.version} is {alias}: {verdict.reason}.")
    for line in promotion.notes:
        click.echo(line)
    if promotion.alias != "champion":
        same = " all the same" if promotion.alias else ""
        click.echo(f"To make it champion{same}:\n  {format_by_hand(name, promotion.version)}")
    by = f"{name}@{promotion.alias}" if promotion.alias else f"{name}/{promotion.version}"
    script = (f'mlflow.pyfunc.load_model("models:/{by}")', f"from a script; see `{format_next('env')}`")
    if is_file(promotion.model):  # its code is in the folder, and tailor.load vouches for it
        script = ('tailor.load("DIR")', "from a script, what was pulled there")
    print_next(
        [
            (f"{format_next('predict', by if promotion.alias != 'champion' else name)} IMAGE…", "classify images"),
            (format_next("pull", by, "-o", "DIR"), "fetch model.keras, its labels and its card"),
            (format_next("history", name), "every move of its aliases"),
            script,
        ]
    )
