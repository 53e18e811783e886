"""MLflow's scoring protocol: raw images as numbers in JSON, by `instances` or `inputs`."""

from __future__ import annotations

import json

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.utils.proto_json_utils import parse_tf_serving_input

from ..errors import InputError

FORM = '{"instances": [IMAGE, …]} or {"inputs": [IMAGE, …]}'


def parse_images(body: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The images of a request as uint8 (n, *shape). Raises InputError.

    A tensor may have a name, as MLflow's clients may give it one: {"inputs": {"images": …}}.
    """
    try:
        given = json.loads(body)
        values = parse_tf_serving_input(given)
    except (ValueError, TypeError, RecursionError, AttributeError, MlflowException) as error:
        said = str(getattr(error, "message", error)).splitlines()[0][:200]
        raise InputError(f"body: expected JSON, {FORM}, got another form ({said}).") from error
    if isinstance(values, dict):
        if len(values) != 1:
            raise InputError(f"inputs: expected one tensor, got {len(values)}: {', '.join(sorted(values))[:200]}.")
        (values,) = values.values()
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or numbers.shape[1:] != shape or not len(numbers):
        wanted = ", ".join(map(str, shape))
        raise InputError(f"images: expected numbers shaped (n, {wanted}), got {numbers.dtype} shaped {numbers.shape}.")
    with np.errstate(invalid="ignore"):  # NaN, which is refused below
        images = numbers.astype(np.uint8)
    if not np.array_equal(images, numbers):
        raise InputError("images: expected whole numbers from 0 to 255 (raw pixels), got others; the model rescales them itself.")
    return images
