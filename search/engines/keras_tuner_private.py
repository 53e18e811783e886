"""What Tailor uses of Keras Tuner 1.4 that its documentation does not promise; look here first when its version changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.src.engine.conditions import Parent  # the public package leaves conditions out (1.4.8)

__all__ = ["Trial", "restore", "stop_saving", "under"]


@contextmanager
def under(hp: keras_tuner.HyperParameters, parents: Mapping[str, Sequence[Any]]) -> Iterator[None]:
    """Declare under all the parents at once: `conditional_scope` takes a parent only in its own scope (1.4.8)."""
    before, hp._conditions = hp._conditions, [Parent(name, list(values)) for name, values in parents.items()]
    try:
        yield
    finally:
        hp._conditions = before


def restore(oracle: keras_tuner.Oracle, state: Mapping[str, Any]) -> None:
    """Give an oracle its trials and its state back: `reload` reads them from its own files only (1.4.8)."""
    for key, kept in state["trials"].items():
        trial = Trial(oracle.get_space(), key, kept["status"], kept["message"])
        trial.hyperparameters.values, trial.score, trial.best_step = kept["values"], kept["score"], 0
        oracle.trials[key] = trial
    oracle.set_state(state["oracle"])


def stop_saving(oracle: keras_tuner.Oracle) -> None:
    """Stop an oracle from writing its files: it writes in place, a kill can truncate them, and no option stops it (1.4.8)."""
    oracle.save = lambda: None
    oracle._save_trial = lambda trial: None
