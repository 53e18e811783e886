"""What `search` and `check` share: the options that set keys of a study file, and the study with them over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import name_option, set_option

if TYPE_CHECKING:
    from ...search.study.spec import StudySpec

F = TypeVar("F", bound=Callable[..., Any])
SHORT = {  # options that set a key of the study file
    "trials": "search.trials",
    "max_epochs": "search.max_epochs",
    "timeout": "search.timeout",
    "seed": "search.seed",
    "engine": "search.engine",
    "sampler": "search.sampler",
    "pruner": "search.pruner",
    "workers": "workers.count",
}
OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--trials", metavar="N", help="The number of trials, over all sessions."),
    click.option("--max-epochs", metavar="N", help="The most epochs of one trial."),
    click.option("--timeout", metavar="TIME", help='Start no trial after this time, such as "30m".'),
    click.option("--workers", metavar="N", help="The number of worker processes [one a core]."),
    click.option("--seed", metavar="N", help="The seed of the sampler and of every trial."),
    click.option("--engine", metavar="NAME", help="optuna or keras-tuner."),
    click.option("--sampler", metavar="NAME", help="tpe, random, grid, …, as the engine offers."),
    click.option("--pruner", metavar="NAME", help="none, median, hyperband, …, as the engine offers."),
    name_option,
    set_option,
)


def study_options(command: F) -> F:
    """Add the options; `resolve` reads them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def resolve(study: str, name: str | None, settings: tuple[str, ...], given: Mapping[str, Any]) -> StudySpec:
    """The study, with the options set over its file."""
    from ...search.study.load import read
    from ...search.study.offers import ENGINES, SAMPLERS, offers
    from ..planning.resolve import find_file
    from ..planning.study_file import read_study

    laid = [f"{key}={given[option]}" for option, key in SHORT.items() if given[option] is not None]
    first: list[str] = []
    if given["engine"] in ENGINES:
        # If this engine lacks the file's sampler or pruner, its own default takes its place.
        named = read(find_file(study)).get("search")
        sampler, pruner = _named("sampler", named), _named("pruner", named)
        first += [] if offers(given["engine"], sampler) else [f"search.sampler={SAMPLERS[given['engine']][0]}"]
        first += ["search.pruner=none"] if pruner and given["engine"] == "keras-tuner" else []
    return read_study(study, (*first, *settings, *laid), name)


def _named(key: str, table: Any) -> str:
    """The sampler or pruner that a file's [search] names, if any; the table is checked later."""
    value = table.get(key, "") if isinstance(table, dict) else ""
    return str(value.get("name", "") if isinstance(value, dict) else value)
