"""Fit one model: load a program, train it from the start or a checkpoint, and return the best epoch's weights."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from .checkpoint import FitState, read_phase, unpack
from .options import TrainOptions
from .plan import NO_HOOKS, Data, FitHooks, FitPlan
from .program import Program
from .programs import Programs
from .records import Predictions
from .trainer import Trainer


@dataclass(frozen=True)
class Fitted:
    """What a fit did. `history` has one mapping of metrics per epoch; the model holds the weights of `best_epoch` (from 1)."""

    history: tuple[Mapping[str, float], ...]
    best: Mapping[str, float]  # of the best epoch
    best_epoch: int
    pruned: bool
    validation: Predictions
    augmented: Predictions | None  # the same images with test-time augmentation, if the options ask for it
    seconds: float
    samples: int
    latency_ms: float  # of one image, median


def fit(model: keras.Model, data: Data, options: TrainOptions, plan: FitPlan, hooks: FitHooks = NO_HOOKS) -> Fitted:
    """Train `model` in place. Raises NonFiniteLoss, ModelError if the monitor is not measured, and what a hook raises."""
    steps = math.ceil(int(data.train_images.shape[0]) / options.batch_size)
    weights = balance_classes(data) if options.class_weight == "balanced" else None
    programs = Programs(model, options, plan, data.num_classes, steps, weights)
    state = None
    if hooks.checkpoint is not None and (state := _resume(hooks.checkpoint, programs, repr((plan, options)))) is None:
        hooks.restarted()
    state = state or FitState(plan.epochs_done + 1, phase=programs.phase)
    try:
        pruned = Trainer(programs, data, options, plan, hooks).run(state)
        for variable, value in zip(programs.program.model.weights, state.best_weights, strict=True):
            variable.assign(value)
        programs.copy_back()
        averages = options.tta != "none" and not pruned
        augmented = programs.program.evaluate(data.val_images, data.val_labels, views=True) if averages else None
    finally:
        programs.release()
    assert state.best is not None and state.validation is not None  # there is at least one epoch
    return Fitted(
        history=tuple(state.history),
        best=state.best,
        best_epoch=state.best_epoch,
        pruned=pruned,
        validation=state.validation,
        augmented=augmented,
        seconds=state.seconds,
        samples=len(state.history) * int(data.train_images.shape[0]),
        latency_ms=measure_latency(programs.program, data),
    )


def _resume(checkpoint: bytes, programs: Programs, identity: str) -> FitState | None:
    """The state in the checkpoint, with the program of its phase loaded. Returns None as `unpack` does."""
    if (phase := read_phase(checkpoint, identity)) is None:
        return None
    first = programs.phase
    if phase != first:
        programs.load(phase)
    state = unpack(checkpoint, programs.program, identity)
    if state is None and phase != first:
        programs.load(first)
    return state


def measure_latency(program: Program, data: Data) -> float:
    """The median time of 20 predictions of one image, in milliseconds."""
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        program.evaluate(data.val_images[:1], data.val_labels[:1])
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def balance_classes(data: Data) -> np.ndarray:
    """Weights that make the classes count equally, shaped (classes,): n / (classes * count), as scikit-learn's "balanced"."""
    counts = np.bincount(data.train_labels.numpy(), minlength=data.num_classes)
    return (counts.sum() / (data.num_classes * np.maximum(counts, 1))).astype("float32")
