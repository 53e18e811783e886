"""Keras as Tailor uses it: on TensorFlow, channels last, float32, whatever ~/.keras/keras.json says."""

from __future__ import annotations

from ..errors import ModelError

BACKEND = "tensorflow"
WAY_OUT = f"set KERAS_BACKEND={BACKEND} before Keras is first imported, or use another process."


def set_standard() -> None:
    """Set Keras up for studies, in one of our processes. Raises ModelError as `require_tensorflow` does."""
    require_tensorflow()
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def require_tensorflow() -> None:
    """Import Keras. Raises ModelError if it has another backend than TensorFlow in this process."""
    try:
        import keras

        found = keras.config.backend()
    except (
        ImportError,
        ValueError,
    ) as error:  # a backend that is not installed, or that Keras does not know
        raise ModelError(f"KERAS_BACKEND: Keras cannot be imported ({error}); {WAY_OUT}") from error
    if found != BACKEND:
        raise ModelError(f"KERAS_BACKEND: expected {BACKEND!r}, got {found!r} in this process; {WAY_OUT}")
