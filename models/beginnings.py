"""Whether a model begins anew: a weight that an earlier model of this process had begins as it began then.

A factory may keep layers outside of its function. What a trial taught them would reach the next one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from .errors import ModelError

if TYPE_CHECKING:
    import keras

BEGAN = "_tailor_began"  # a weight's attribute: the digest of the values that it had when its first model was made


def check_beginning(name: str, model: keras.Model) -> None:
    """Raise ModelError if a weight of a new model was in an earlier one, and has other values than at that one's beginning."""
    for layer in model.layers:
        for weight in layer.weights:
            digest = hashlib.blake2b(np.ascontiguousarray(weight.numpy()).tobytes(), digest_size=8).digest()
            if getattr(weight, BEGAN, digest) != digest:
                raise ModelError(
                    f"model {name!r}: the layer {layer.name!r} is not made anew, and keeps what an earlier trial taught it. Make "
                    "it inside the function. One that is loaded once may stay outside if it never trains (trainable = False), "
                    "or if the function sets its weights each time."
                )
            setattr(weight, BEGAN, digest)
