"""Layer-wise freezing: the first layers keep their weights for some epochs, and then the last of them train too (fine-tuning)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from .keras_private import flatten_layers
from .options import TrainOptions


@dataclass(frozen=True)
class Phase:
    """Epochs of a fit that freeze the same layers: `frozen` is the layers' share, `factor` multiplies the rate."""

    begins: int  # after that many epochs
    frozen: float = 0.0
    factor: float = 1.0


def list_phases(options: TrainOptions) -> tuple[Phase, ...]:
    """The phases of a fit, in order: one, or two if layers are frozen first."""
    if not options.frozen_epochs:
        return (Phase(0),)
    later = Phase(options.frozen_epochs, options.frozen_share * (1 - options.fine_tune_share), options.fine_tune_factor)
    return Phase(0, options.frozen_share), later


def find_phase(phases: tuple[Phase, ...], epoch: int) -> int:
    """Which phase an epoch (from 1) belongs to."""
    return max(number for number, phase in enumerate(phases) if phase.begins < epoch)


class Freezer:
    """Freezes a share of a model's layers; `release` leaves each as trainable as it was."""

    def __init__(self, model: keras.Model) -> None:
        self._layers = [layer for layer in walk_units(model) if layer.weights]
        self._before = [(layer, layer.trainable) for layer in flatten_layers(model)]  # outer layers first: they set inner ones

    def freeze(self, share: float) -> None:
        """Freeze that share of the layers with weights, from the images on; the last one always trains."""
        self.release()
        for layer in self._layers[: round(share * (len(self._layers) - 1))]:
            layer.trainable = False

    def release(self) -> None:
        """Undo `freeze`."""
        for layer, trainable in self._before:
            layer.trainable = trainable


def walk_units(model: keras.Model) -> Iterator[Any]:
    """The layers from the images on, also those of models inside the model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from walk_units(layer)
        else:
            yield layer
