"""MLflow's scoring protocol: raw images as numbers in JSON, by `instances` or `inputs`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..errors import InputError

FORM = '{"instances": [IMAGE, …]} or {"inputs": [IMAGE, …]}'


def parse_images(body: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The images of a request as uint8 (n, *shape). Raises InputError.

    A tensor may have a name, as MLflow's clients may give it one: {"inputs": {"images": …}}.
    """
    try:
        numbers = np.asarray(_find_tensor(json.loads(body)))
    except InputError:  # which is a ValueError too
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"body: expected JSON, {FORM}, got another form ({str(error).splitlines()[0][:200]}).") from error
    if numbers.dtype.kind not in "iuf" or numbers.shape[1:] != shape or not len(numbers):
        wanted = ", ".join(map(str, shape))
        raise InputError(f"images: expected numbers shaped (n, {wanted}), got {numbers.dtype} shaped {numbers.shape}.")
    with np.errstate(invalid="ignore"):  # NaN, which is refused below
        images = numbers.astype(np.uint8)
    if not np.array_equal(images, numbers):
        raise InputError("images: expected whole numbers from 0 to 255 (raw pixels), got others; the model rescales them itself.")
    return images


def _find_tensor(given: Any) -> Any:
    """The values of the one tensor in a request. Raises ValueError, and InputError if there are several."""
    if not isinstance(given, dict) or list(given) not in (["instances"], ["inputs"]):
        raise ValueError(
            f"got {', '.join(map(str, given))[:100]}" if isinstance(given, dict) else f"got a {type(given).__name__}"
        )
    ((key, values),) = given.items()
    if "instances" in given and values and isinstance(values, list) and all(isinstance(one, dict) for one in values):
        values = {name: [one.get(name) for one in values] for name in {name: None for one in values for name in one}}
    if not isinstance(values, dict):
        return values
    if len(values) != 1:
        raise InputError(f"{key}: expected one tensor, got {len(values)}: {', '.join(sorted(values))[:200]}.")
    return next(iter(values.values()))
