"""Several models as one that averages their probabilities: the seeds of one training, or an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def average(models: Sequence[keras.Model], weights: Sequence[int] | None = None) -> keras.Model:
    """One model of raw images (n, height, width, channels) whose probabilities (n, classes) are the models' weighted mean.

    `weights` count how often each model is in; one each by default. It holds built-in layers only, beside the models' own.
    """
    import keras

    shares = [1 / len(models)] * len(models) if weights is None else [weight / sum(weights) for weight in weights]
    images = keras.Input(models[0].inputs[0].shape[1:], dtype=models[0].inputs[0].dtype)
    parts = []
    for place, (model, share) in enumerate(zip(models, shares, strict=True)):
        model.name = f"member_{place + 1}"  # the names of a model's layers differ
        parts.append(keras.layers.Rescaling(share, name=f"share_{place + 1}")(model(images)))
    total = parts[0] if len(parts) == 1 else keras.layers.Add(name="mean")(parts)
    return keras.Model(images, total)
