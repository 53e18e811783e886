"""The learning-rate range test: train one model while its rate rises, and note the training loss at each rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np

from ..errors import ModelError
from .batches import read_chunks
from .fit import balance_classes
from .freezing import Freezer, list_phases
from .keras_step import choose_program
from .options import TrainOptions
from .plan import Data
from .program import Program
from .rate_curve import RateCurve, RatePlan, has_diverged
from .records import Totals, TrialValues
from .schedules import Schedule


def measure_losses(model: keras.Model, data: Data, options: TrainOptions, plan: RatePlan, seed: int) -> RateCurve:
    """Train `model` in place, at a constant rate for each point. Raises ModelError if its schedule is its own."""
    options = replace(options, schedule="constant", warmup_epochs=0.0, learning_rate=plan.low)
    count = int(data.train_images.shape[0])
    steps = math.ceil(count / options.batch_size)
    freezer, frozen = Freezer(model), list_phases(options)[0].frozen  # the rate that is searched is that of the first phase
    freezer.freeze(frozen)
    program = choose_program(model, options, data.num_classes, plan.points * (steps if plan.by_epoch else 1))
    if not isinstance(program.schedule, Schedule):
        raise ModelError("the model is compiled with a learning-rate schedule: a range test needs a constant rate")
    weights = balance_classes(data) if options.class_weight == "balanced" else None
    program.load(model, TrialValues(options, seed, steps, plan.points, class_weight=weights))
    rates = plan.list_rates().tolist()
    losses: list[float] = []
    while len(losses) < len(rates):
        order = np.random.default_rng([seed, len(losses)]).permutation(count).astype("int32")
        for loss in _train_epoch(program, data, order, rates[len(losses) :], plan.by_epoch):
            losses.append(loss)
            if has_diverged(losses):
                return RateCurve(tuple(rates[: len(losses)]), tuple(losses))
    return RateCurve(tuple(rates), tuple(losses))


def _train_epoch(program: Program, data: Data, order: np.ndarray, rates: list[float], by_epoch: bool) -> Iterator[float]:
    """Losses of an epoch: one at the first rate, or one a step at each."""
    totals, left = Totals(), iter(rates)
    if by_epoch:
        program.set_rate(next(left))
    for chunk in read_chunks(data.train_images, data.train_labels, order, program.batch_size):
        steps = math.ceil(int(chunk.order.shape[0]) / program.batch_size)
        if by_epoch:
            totals += program.train(*chunk, range(steps))
            continue
        for step, rate in zip(range(steps), left, strict=False):
            program.set_rate(rate)
            one = program.train(*chunk, range(step, step + 1))
            yield one.loss / one.seen
    if by_epoch:
        yield totals.loss / totals.seen
