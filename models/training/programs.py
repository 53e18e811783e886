"""The programs of one fit: each phase of frozen and unfrozen layers has its own, which begins with the weights of the last."""

from __future__ import annotations

import keras
import numpy as np

from .clone import copy_weights
from .freezing import Freezer, find_phase, list_phases
from .keras_step import choose_program
from .options import TrainOptions
from .plan import FitPlan
from .program import Program
from .records import TrialValues


class Programs:
    """Loads a phase's program with the model's weights. The optimizer begins anew in each, as after Keras's compile()."""

    def __init__(
        self, model: keras.Model, options: TrainOptions, plan: FitPlan, num_classes: int, steps: int, weights: np.ndarray | None
    ) -> None:
        """`steps` is of one epoch; `weights` are the classes'."""
        self.phases = list_phases(options)
        self._model, self._options, self._plan, self._classes, self._steps, self._weights = (
            model, options, plan, num_classes, steps, weights,
        )  # fmt: skip
        self._freezer = Freezer(model) if len(self.phases) > 1 else None
        self.load(find_phase(self.phases, plan.epochs_done + 1))

    def load(self, phase: int) -> None:
        """Load the phase's program with the model's weights."""
        self.phase, now = phase, self.phases[phase]
        options, done = self._options, self._plan.epochs_done
        if self._freezer is not None:
            self._freezer.freeze(now.frozen)
        self.program: Program = choose_program(self._model, options, self._classes, (self._plan.epochs - done) * self._steps)
        trial = (options, self._plan.seed, self._steps, self._plan.epochs, max(done, now.begins), self._weights)
        self.program.load(self._model, TrialValues(*trial, factor=now.factor))

    def advance(self, epoch: int) -> int:
        """The epoch's phase; if it is another one, load its program with the weights that were trained so far."""
        if (phase := find_phase(self.phases, epoch)) != self.phase:
            self.copy_back()
            self.load(phase)
        return phase

    def copy_back(self) -> None:
        """Give the model the program's weights."""
        if self.program.model is not self._model:
            copy_weights(self.program.model, self._model)

    def release(self) -> None:
        """Leave the model's layers as trainable as they were."""
        if self._freezer is not None:
            self._freezer.release()
