"""The epochs of one fit: units of about two seconds, reports, checkpoints, early stopping, the best epoch's weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from ..errors import ModelError
from .batches import Chunk, read_chunks
from .checkpoint import FitState, pack
from .options import TrainOptions
from .plan import Data, FitHooks, FitPlan
from .plateau import PLATEAU, find_rate
from .program import Program
from .programs import Programs
from .records import Totals

T = TypeVar("T")
UNIT_SECONDS = 2.0
FIRST_UNIT = 32  # steps, to measure how long one takes


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite; the message names the epoch."""


class Trainer:
    """One fit's epochs."""

    @property
    def program(self) -> Program:
        """What trains the present phase."""
        return self.programs.program

    def __init__(self, programs: Programs, data: Data, options: TrainOptions, plan: FitPlan, hooks: FitHooks) -> None:
        self.programs, self.data, self.options, self.plan, self.hooks = programs, data, options, plan, hooks
        self.count = int(data.train_images.shape[0])
        self.unit = FIRST_UNIT
        self.saved = time.monotonic()

    def run(self, state: FitState) -> bool:
        """Train from the state to the plan's end; True if a report asked to stop."""
        reported = len(state.history) - (state.step == 0)  # the last one's answer may not have come
        for past in range(max(0, reported)):
            self.hooks.replay(self.plan.epochs_done + past + 1, state.history[past])
        if state.history and state.step == 0 and (stop := self._report(state)) is not None:
            return stop
        while state.epoch <= (self.plan.last_epoch or self.plan.epochs):
            state.phase = self.programs.advance(state.epoch)
            self._epoch(state)
            if (stop := self._report(state)) is not None:
                return stop
        return False

    def _report(self, state: FitState) -> bool | None:
        """Report the last epoch: True if the answer asks to stop, False if early stopping does, None to continue."""
        if self._call_hook(lambda: self.hooks.report(state.epoch - 1, state.history[-1]), state):
            return True
        return False if _stalled(state.history, self.plan, self.options) else None

    def _epoch(self, state: FitState) -> None:
        """Train the rest of an epoch and validate; the order of the images is a function of (seed, epoch)."""
        order = np.random.default_rng([self.plan.seed, state.epoch]).permutation(self.count).astype("int32")
        if self.options.schedule == PLATEAU:
            factor = self.programs.phases[state.phase].factor
            self.program.set_rate(factor * find_rate(state.history, self.plan, self.options))
        rate = self.program.find_rate(state.step)
        batch = self.program.batch_size
        for chunk in read_chunks(self.data.train_images, self.data.train_labels, order[state.step * batch :], batch):
            self._train_chunk(chunk, state)
        begun = time.perf_counter()
        with self.program.average_weights():
            self._validate(state, rate)
        state.epoch, state.step, state.totals = state.epoch + 1, 0, Totals()
        state.seconds += time.perf_counter() - begun

    def _validate(self, state: FitState, rate: float) -> None:
        """Evaluate the epoch, note its metrics, and keep its weights if it is the best."""
        validation = self.program.evaluate(self.data.val_images, self.data.val_labels)
        if not math.isfinite(validation.loss):
            raise NonFiniteLoss(f"the validation loss is {validation.loss} in epoch {state.epoch}; lower the learning rate")
        metrics = {
            "train_loss": state.totals.loss / state.totals.seen,
            "train_accuracy": state.totals.correct / state.totals.seen,
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
            "learning_rate": rate,
        }
        if math.isnan(metrics[self.plan.monitor]):
            raise ModelError(f"{self.plan.monitor}: the model's custom step does not return it; use val_accuracy as objective")
        state.history.append(metrics)
        if state.best is None or self.plan.last_epoch or self.plan.improves(metrics, state.best):
            state.best, state.best_epoch, state.validation = metrics, state.epoch, validation
            state.best_weights = [variable.numpy() for variable in self.program.model.weights]

    def _train_chunk(self, chunk: Chunk, state: FitState) -> None:
        step, end = 0, math.ceil(int(chunk.order.shape[0]) / self.program.batch_size)
        while step < end:
            steps = range(step, min(step + self.unit, end))
            begun = time.perf_counter()
            state.totals += self.program.train(*chunk, steps)
            if not math.isfinite(state.totals.loss):
                raise NonFiniteLoss(
                    f"the loss is {state.totals.loss} in epoch {state.epoch}; lower the learning rate or clip the gradients"
                )
            seconds = time.perf_counter() - begun
            self.unit = _next_unit(len(steps), seconds)
            state.seconds += seconds
            state.step += len(steps)
            step = steps.stop
            self._call_hook(self.hooks.between, state)
            if time.monotonic() - self.saved >= self.hooks.save_seconds:
                self._save(state)

    def _call_hook(self, call: Callable[[], T], state: FitState) -> T:
        """Call a hook. If it raises, save the trained state first."""
        try:
            return call()
        except Exception:
            self._save(state)
            raise

    def _save(self, state: FitState) -> None:
        self.hooks.save(pack(state, self.program, repr((self.plan, self.options))))
        self.saved = time.monotonic()


def _next_unit(steps: int, seconds: float) -> int:
    """The number of steps that take UNIT_SECONDS, at most four times the last: the first unit also includes tracing."""
    return max(1, min(4 * steps, int(steps * UNIT_SECONDS / max(seconds, 1e-6))))


def _stalled(history: list[Mapping[str, float]], plan: FitPlan, options: TrainOptions) -> bool:
    """Whether early stopping ends the fit now: the rule of keras.callbacks.EarlyStopping."""
    rule = options.early_stopping
    if rule is None or plan.last_epoch is not None:
        return False
    best, since = history[0], 0
    for metrics in history[1:]:
        since += 1
        if plan.improves(metrics, best, rule.min_delta):
            best, since = metrics, 0
    return since >= rule.patience
