"""The model that Tailor needs: one input of raw images, one output with a probability per class, and a complete config."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .errors import ModelError
from .outputs import end_in_probabilities

if TYPE_CHECKING:
    import keras

KNOWN = ("self", "name", "dtype", "trainable")  # arguments that Keras keeps for every layer


def adapt_input(name: str, model: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """The model with one input of the images' (height, width, channels).

    A model that declares no input or leaves a length open gets it; grey images lose their channel if the model wants none.
    Raises ModelError for any other input.
    """
    import keras

    from .training.keras_step import has_custom_step

    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    inputs, own_step = getattr(model, "inputs", None) or [], has_custom_step(model)
    wanted = [tuple(one.shape[1:]) for one in inputs]
    if (not inputs and not own_step) or (wanted == [shape[:2]] and shape[2] == 1 and not own_step):
        images = keras.Input(shape)
        return keras.Model(images, model(keras.layers.Reshape(shape[:2])(images) if inputs else images))
    if len(wanted) == 1 and len(wanted[0]) == 3 and all(a in (None, b) for a, b in zip(wanted[0], shape, strict=True)):
        if None not in wanted[0] or own_step:
            return model
        images = keras.Input(shape, dtype=inputs[0].dtype)
        return keras.Model(images, model(images))
    if not inputs:
        raise ModelError(
            f"model {name!r}: expected inputs, got none; with a custom train_step or compute_loss, make it from its inputs and "
            "outputs, MyModel(inputs, outputs)."
        )
    raise ModelError(
        f"model {name!r}: expected one input of images {shape}, got {', '.join(map(str, wanted))}; "
        f"begin it with keras.Input({shape}), or set data.image_size, if the data set is a folder of images."
    )


def complete(name: str, model: keras.Model, num_classes: int) -> keras.Model:
    """The model, which takes images, with probabilities at its end. Raises ModelError as `check` does, and for any other end."""
    check(name, model, num_classes)
    return end_in_probabilities(name, _unpack(model))


def check(name: str, model: keras.Model, num_classes: int) -> None:
    """Raise ModelError unless the model's one output is (n, num_classes), and its config holds all its arguments."""
    import keras

    from .training.keras_private import flatten_layers

    _check_head(name, model, num_classes)
    for part in flatten_layers(model):
        # Keras keeps a layer's arguments, but only the defaults of a Model's: clones and saved models would have the defaults.
        if isinstance(part, keras.Model) and type(part).get_config is keras.Model.get_config and (own := _arguments(type(part))):
            raise ModelError(
                f"model {name!r}: {type(part).__name__} takes {', '.join(own)}, and a keras.Model's config does not hold that: "
                "the saved model would differ. Give it a get_config that returns them too, or make it a Layer."
            )


def _unpack(model: keras.Model) -> keras.Model:
    """The model from tensor to tensor, if it takes or returns a dict or a list of one."""
    import keras

    ends = (getattr(model, "input", None), getattr(model, "output", None)) if getattr(model, "outputs", None) else ()
    return keras.Model(model.inputs[0], model.outputs[0]) if any(isinstance(end, dict | list | tuple) for end in ends) else model


def _arguments(kind: type[Any]) -> list[str]:
    """The names of a class's own arguments."""
    some = inspect.signature(kind.__init__).parameters.values()
    return [one.name for one in some if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and one.name not in KNOWN]


def _check_head(name: str, model: keras.Model, num_classes: int) -> None:
    shape = getattr(model, "output_shape", None)
    if len(getattr(model, "outputs", None) or [1]) > 1:
        raise ModelError(
            f"model {name!r}: expected one output of shape (n, {num_classes}), one probability a class, got "
            f"{len(model.outputs)} outputs; return a model with the classes' output alone."
        )
    if isinstance(shape, tuple) and len(shape) > 2:
        raise ModelError(
            f"model {name!r}: expected an output of shape (n, {num_classes}), one probability a class, got {shape}; "
            "flatten or pool before the last layer."
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] != num_classes:
        raise ModelError(
            f"model {name!r}: expected an output of shape (n, {num_classes}), one probability a class, got {shape}; "
            "give the last layer `num_classes` units."
        )
