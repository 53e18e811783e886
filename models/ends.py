"""A model's two ends as Tailor has them: one input of raw images, and one output of a probability a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ModelError

if TYPE_CHECKING:
    import keras


def with_input(name: str, model: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """The model with one input of the images' (height, width, channels).

    One that declares no input or leaves a length open takes it; grey images lose their channel where the model wants none.
    Raises ModelError for another input.
    """
    import keras

    from models.training.by_keras import has_own_step

    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    inputs, own_step = getattr(model, "inputs", None) or [], has_own_step(model)
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
            f"model {name!r}: with a train_step or compute_loss of its own it is made from its inputs and outputs, "
            "MyModel(inputs, outputs), and this one has none."
        )
    raise ModelError(
        f"model {name!r}: expected one input of images {shape}, got {', '.join(map(str, wanted))}; "
        f"begin it with keras.Input({shape}), or set data.image_size."
    )


def check_head(name: str, model: keras.Model, num_classes: int) -> None:
    """Raise ModelError unless the model's one output is (n, num_classes)."""
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] != num_classes:
        raise ModelError(
            f"model {name!r}: expected an output of shape (n, {num_classes}), one probability a class, got {shape}; "
            "give the last layer `num_classes` units."
        )
