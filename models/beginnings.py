"""Whether a model begins anew: a weight that an earlier model of this process had begins as its factory sets it.

A factory may keep layers outside of its function. What a trial taught them would reach the next one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ModelError

if TYPE_CHECKING:
    import keras

BEGAN = "_tailor_began"  # a weight's attribute: the digest of the values with which its latest model began
MADE = "_tailor_made"  # an attribute of a model that a factory has returned


def refuse_made(name: str, model: keras.Model) -> None:
    """Raise ModelError for a model that the factory has returned before: it is trained and compiled already."""
    if getattr(model, MADE, False):
        raise ModelError(f"model {name!r}: it returned the same model twice; make the model anew in each call.")
    setattr(model, MADE, True)


def find_changed(model: keras.Model) -> list[tuple[str, Any]]:
    """The weights that an earlier model began with other values, each with its layer's name; each notes how it begins now."""
    changed = []
    for layer in model.layers:
        for weight in (one for one in layer.weights if "float" in str(one.dtype)):
            digest = hashlib.blake2b(np.ascontiguousarray(weight.numpy()).tobytes(), digest_size=8).digest()
            if getattr(weight, BEGAN, digest) != digest:
                changed.append((layer.name, weight))
            setattr(weight, BEGAN, digest)
    return changed


def refuse_kept(name: str, weights: list[tuple[str, Any]], values: list[np.ndarray]) -> None:
    """Raise ModelError if a weight still has the values that were given to it before the factory was called again."""
    for (layer, weight), given in zip(weights, values, strict=True):
        if np.array_equal(weight.numpy(), given):
            raise ModelError(
                f"model {name!r}: the layer {layer!r} is not made anew, and keeps what an earlier trial taught it. Make it "
                "inside the function. One that is loaded once may stay outside if it never trains (trainable = False), or if "
                "the function sets its weights each time."
            )
