"""A space that is defined by running: a function of a person's own suggests with Optuna's trial and returns a trial's values."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from .. import references
from ..errors import StudyError
from ..space.conditions import Value
from ..space.parameters import Choice, Float, Int, Parameter
from ..space.rules import draw, largest, smallest
from ..space.space import Space, Suggester
from .storage import AWAY

FIELD = "study.space"
DRY = 32  # draws at random, for a look at what the function returns before a search begins
LOG_SPAN = 100.0  # values that span more are drawn on a log scale


def suggested(reference: str, trial: optuna.Trial, digest: str = "") -> dict[str, Value] | None:
    """The values that the function returns for a trial, by name; None where it forbids what was drawn, by TrialPruned.

    `digest` is the SHA-256 of its file as the study knows it. Raises StudyError where it fails or returns something else.
    """
    function, path = references.find(FIELD, reference, digest)
    try:
        with chdir("."):  # back to where it was: other paths are taken from there
            found = function(trial)
    except AWAY:  # of the database that the trial is in
        raise
    except optuna.TrialPruned:
        return None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
        raise StudyError(
            f"{FIELD}: {reference!r} failed{f' in line {lines[-1]}' if lines else ''}: {type(error).__name__}: {error}."
        ) from error
    plain = isinstance(found, Mapping) and all(
        isinstance(key, str) and isinstance(value, (bool, int, float, str)) for key, value in found.items()
    )
    if not plain:
        raise StudyError(
            f"{FIELD}: expected {reference!r} to return a dict of numbers, texts and true/false by name, got {str(found)[:200]}."
        )
    return dict(found)


def picked(reference: str, pick: Suggester, study: optuna.Study | None = None) -> dict[str, Value] | None:
    """What `suggested` answers where a rule, such as `smallest`, picks each value that is asked for; of one study if given."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = study or optuna.create_study()
    study.sampler = _Picks(pick)
    return suggested(reference, study.ask())


def looked_over(reference: str) -> Iterator[dict[str, Value]]:
    """What the function returns at both ends and at random, as trials of one study: the same at each call.

    Raises StudyError where it forbids them all.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng, study = random.Random(0), optuna.create_study()
    rules: list[Suggester] = [smallest, largest, *[lambda parameter: draw(parameter, rng)] * DRY]
    allowed = 0
    for rule in rules:
        if (values := picked(reference, rule, study)) is not None:
            allowed += 1
            yield values
    if not allowed:
        raise forbidden(reference, len(rules))


def ends(reference: str) -> tuple[dict[str, Value], dict[str, Value]]:
    """What the function returns for the smallest values and for the largest; for an end that it forbids, what it allows."""
    small, large = picked(reference, smallest), picked(reference, largest)
    if small is None or large is None:
        allowed = list(looked_over(reference))
        small, large = allowed[0] if small is None else small, allowed[-1] if large is None else large
    return small, large


def forbidden(reference: str, times: int) -> StudyError:
    """The error for a function that forbids whatever is drawn."""
    return StudyError(
        f"{FIELD}: {reference!r} raised TrialPruned for {times} draws in a row; let it forbid less, or suggest by if and else "
        "what is allowed only."
    )


def seen(trials: Sequence[Mapping[str, str]]) -> Space:
    """The parameters that varied among trials, over the values that they took (as text), for plots and tables."""
    names = dict.fromkeys(name for params in trials for name in params)
    values = {name: list(dict.fromkeys(params[name] for params in trials if name in params)) for name in names}
    return Space(tuple(_seen(name, texts) for name, texts in values.items() if len(texts) > 1))


class _Picks(optuna.samplers.BaseSampler):
    """Asks a rule for each value."""

    def __init__(self, pick: Suggester) -> None:
        self._pick = pick

    def infer_relative_search_space(self, study: optuna.Study, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: optuna.Study, trial: Any, name: str, distribution: BaseDistribution) -> Any:
        return self._pick(_parameter(name, distribution))


def _parameter(name: str, distribution: BaseDistribution) -> Float | Int | Choice:
    if isinstance(distribution, CategoricalDistribution):
        return Choice(name, tuple(distribution.choices))  # type: ignore[arg-type]
    if isinstance(distribution, IntDistribution):
        step = None if distribution.step == 1 else distribution.step
        return Int(name, distribution.low, distribution.high, distribution.log, step)
    assert isinstance(distribution, FloatDistribution)  # there are three
    return Float(name, distribution.low, distribution.high, distribution.log, distribution.step)


def _seen(name: str, texts: Sequence[str]) -> Parameter:
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return Choice(name, tuple(texts))
    low, high = min(numbers), max(numbers)
    log = low > 0 and high > LOG_SPAN * low
    if all(text.lstrip("-").isdigit() for text in texts):
        return Int(name, int(low), int(high), log)
    return Float(name, low, high, log)
