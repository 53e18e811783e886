"""Whether a model begins anew: a weight that an earlier model of this process had begins as its factory sets it.

A factory may keep layers outside of its function. What a trial taught them would reach the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ModelError

if TYPE_CHECKING:
    import keras

BEGAN = "_tailor_began"  # a weight's attribute: the digest of the values with which its latest model began
STRANGE = -12345.0  # what no factory sets all of a weight to
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


@contextmanager
def changed_weights(weights: Sequence[Any]) -> Iterator[Callable[[Any], bool]]:
    """Change weights for the block; those that still have the changed values at its end get their own ones back.

    Yields what says whether a weight still has them.
    """
    before = [(weight, weight.numpy()) for weight in weights]
    for weight, values in before:
        weight.assign(np.full_like(values, STRANGE))
    strange = {id(weight): weight.numpy() for weight in weights}  # as its type rounds it

    def is_kept(weight: Any) -> bool:
        return weight.numpy().size > 0 and np.array_equal(weight.numpy(), strange[id(weight)])

    try:
        yield is_kept
    finally:
        for weight, values in before:
            if is_kept(weight):
                weight.assign(values)


def refuse_kept(name: str, model: keras.Model, kept: Sequence[tuple[str, Any]]) -> None:
    """Raise ModelError if the model has a weight that the factory left as it was; `kept` are those, with their layers' names."""
    its = {id(weight) for weight in model.weights}
    for layer, weight in kept:
        if id(weight) in its:
            raise ModelError(
                f"model {name!r}: the layer {layer!r} is not made anew, and keeps what an earlier trial taught it. Make it "
                "inside the function. One that is loaded once may stay outside if it never trains (trainable = False), or if "
                "the function sets its weights each time."
            )
