"""The losses by name: cross-entropy and Keras's others on one-hot labels, or a function by "pkg.mod:function" or its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import references
from ..errors import ModelError

FIELD = "training.loss"
CROSSENTROPY = "crossentropy"
KERAS = {
    CROSSENTROPY: "categorical_crossentropy",
    "focal": "categorical_focal_crossentropy",
    "kl_divergence": "kl_divergence",
    "mean_squared_error": "mean_squared_error",
    "categorical_hinge": "categorical_hinge",
}
Loss = Callable[[Any, Any], Any]  # one-hot labels and probabilities, both float (n, classes), to losses (n,)


def resolve(name: str) -> Loss:
    """The loss of that name. Raises ModelError if a custom function cannot be imported."""
    if name in KERAS:
        import keras

        return getattr(keras.losses, KERAS[name])
    return _find(name)[0]


def find_module(name: str) -> str:
    """The module of a custom loss, which tells a file's content from another's under the same path; empty for Keras's."""
    return "" if name in KERAS else _find(name)[1]


def _find(name: str, field: str = FIELD) -> tuple[Loss, str]:
    try:
        loss, module = references.find(field, name)
    except ModelError:
        raise
    except Exception as error:  # the user's module may raise anything
        raise ModelError(f"{field}: {name!r} cannot be imported ({error}); name a function of a module or a file.") from error
    if not callable(loss):
        raise references.missing(field, name, module)
    return loss, module.__name__


def check(name: str, num_classes: int, field: str = FIELD) -> None:
    """Call a custom loss once. Raises ModelError, which names `field`, if it fails as in training, or returns another shape."""
    if name in KERAS:
        return
    loss = _find(name, field)[0]
    if isinstance(loss, type):
        raise ModelError(f"{field}: {name!r} is a class; name a function, or an object of it made with reduction=None.")
    import tensorflow as tf

    images = 2
    compiled = tf.function(loss, autograph=False)  # as in training: what asks for values that are not there yet fails here too
    try:
        found = compiled(tf.eye(images, num_classes), tf.fill((images, num_classes), 1 / num_classes))
    except Exception as error:  # the user's function may raise anything
        said = (str(error).strip().splitlines() or [""])[0][:300]
        raise ModelError(
            f"{field}: {name!r} fails ({type(error).__name__}: {said}). It gets one-hot labels and probabilities, both "
            f"float (n, {num_classes}), and returns a loss for each image, (n,); write it in keras.ops or tf, not in NumPy."
        ) from error
    shape = tuple(found.shape) if hasattr(found, "shape") else None
    if shape != (images,):  # class weights are multiplied with it
        hint = "; leave out the mean over the images, or give the loss reduction=None" if shape == () else ""
        got = type(found).__name__ if shape is None else f"the shape {shape}"
        raise ModelError(
            f"{field}: expected {name!r} to return a loss for each image, (n,), got {got} for {images} images{hint}."
        )
