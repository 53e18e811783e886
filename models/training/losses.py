"""The losses by name: cross-entropy and Keras's others on one-hot labels, or a function of one's own by "pkg.mod:function"."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import chdir
from typing import Any

from ..errors import ModelError

CROSSENTROPY = "crossentropy"
KERAS = {
    CROSSENTROPY: "categorical_crossentropy",
    "focal": "categorical_focal_crossentropy",
    "kl_divergence": "kl_divergence",
    "mean_squared_error": "mean_squared_error",
    "categorical_hinge": "categorical_hinge",
}
Loss = Callable[[Any, Any], Any]  # one-hot labels and probabilities, both float (n, classes), to losses (n,)


def named(name: str) -> Loss:
    """The loss of that name. Raises ModelError where a function of one's own cannot be imported."""
    if name in KERAS:
        import keras

        return getattr(keras.losses, KERAS[name])
    module, _, attribute = name.partition(":")
    try:
        with chdir("."):
            return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(
            f"training.loss: {name!r} cannot be imported ({error}); name a function of an installed module."
        ) from error
