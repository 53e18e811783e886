"""A search in memory with made-up values: it shows arguments that a sampler or pruner refuses only when it comes to use them."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from ..study.key_values import Component
from ..study.spec import StudySpec
from .blame import blaming
from .protocol import Engine, Outcome, Suggestion

BEGIN = 10  # trials that Optuna's samplers draw at random before their model proposes any
POINTS = 2  # the same of Keras Tuner's bayesian
MOST_EPOCHS = 30


def rehearse(spec: StudySpec) -> None:
    """Raises StudyError for arguments that fail in use. It leaves a custom class alone, which may do anything on its way."""
    sampler, pruner = spec.search.sampler, spec.search.pruner
    if not spec.source.declared or not (sampler.arguments or pruner.arguments) or ":" in sampler.name + pruner.name:
        return
    trials, tried = BEGIN + 1, sampler if sampler.arguments else Component("random")  # the quickest
    if sampler.name == "bayesian":  # by itself it draws three for each parameter, and fits slowly
        trials, tried = POINTS + 1, Component(sampler.name, {"num_initial_points": POINTS, **sampler.arguments})
    small = replace(spec, enqueue=(), search=replace(spec.search, trials=trials, sampler=tried))
    with tempfile.TemporaryDirectory(prefix="tailor-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the search itself will show them
        engine = _open(small, Path(folder))
        for number in range(trials):
            with blaming("sampler", small.search):
                trial = engine.ask()
            if not isinstance(trial, Suggestion):
                return
            _run(small, engine, trial, (number * 7 % 11) / 11)


def _run(spec: StudySpec, engine: Engine, trial: Suggestion, value: float) -> None:
    """Report and end a trial whose metrics rise by epoch from the value."""
    names = [*(one.metric for one in spec.goal.objectives), *(one.metric for one in spec.constraints)]
    values, stop = dict.fromkeys(names, value), False
    for epoch in range(1, min(trial.epochs, MOST_EPOCHS) + 1):
        values = dict.fromkeys(names, value + epoch / 100)
        with blaming("pruner", spec.search):
            stop = engine.report(trial.trial, epoch, values)
        if stop:
            break
    with blaming("sampler", spec.search):
        engine.tell(trial.trial, Outcome("pruned") if stop else Outcome("complete", values))


def _open(spec: StudySpec, folder: Path) -> Engine:
    if spec.search.engine == "keras-tuner":
        from .keras_tuner import KerasTunerEngine

        return KerasTunerEngine.open(spec, folder)
    from .optuna import OptunaEngine

    return OptunaEngine.in_memory(spec)
