"""The inputs of a fit: its data, its plan, and hooks that report, save and resume it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Data:
    """uint8 images (n, height, width, channels) and int64 labels (n,), for training and validation.

    Tensors are resident; images may instead be numpy arrays mapped from a file, which are streamed.
    """

    train_images: tf.Tensor | np.ndarray
    train_labels: tf.Tensor
    val_images: tf.Tensor | np.ndarray
    val_labels: tf.Tensor
    num_classes: int


@dataclass(frozen=True)
class FitPlan:
    """What one fit should do: epochs, the seed of everything random, and the metric that decides which epoch is best.

    A model that was trained for `epochs_done` epochs continues with the next one, in order, schedule and count. With
    `last_epoch`, the fit ends after that epoch, on the same schedule, and keeps its weights, whichever epoch is best.
    """

    epochs: int
    seed: int
    monitor: str = "val_accuracy"
    maximize: bool = True
    epochs_done: int = 0
    last_epoch: int | None = None

    def improves(self, metrics: Mapping[str, float], best: Mapping[str, float], min_delta: float = 0.0) -> bool:
        """Whether an epoch is better than `best` by more than `min_delta`."""
        gain = metrics[self.monitor] - best[self.monitor]
        return (gain if self.maximize else -gain) > min_delta


@dataclass(frozen=True)
class FitHooks:
    """What a fit calls, and the checkpoint that it resumes from.

    `report(epoch, metrics)` returns True to stop; the fit calls `between()` between units. `save` takes a checkpoint, every
    `save_seconds` and if one of these two raises. `replay` gets the epochs in the checkpoint; the fit calls `restarted()` if it
    cannot resume from the checkpoint.
    """

    report: Callable[[int, Mapping[str, float]], bool] = lambda epoch, metrics: False
    between: Callable[[], None] = lambda: None
    replay: Callable[[int, Mapping[str, float]], None] = lambda epoch, metrics: None
    save: Callable[[bytes], None] = lambda checkpoint: None
    save_seconds: float = math.inf
    checkpoint: bytes | None = None
    restarted: Callable[[], None] = lambda: None


NO_HOOKS = FitHooks()
