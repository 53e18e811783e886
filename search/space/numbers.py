"""Numbers in recorded texts: MLflow keeps each hyperparameter as the text that `str` makes of it."""

from __future__ import annotations

import math
from contextlib import suppress


def read_number(text: str) -> int | float | None:
    """The number that `str` writes as this text; None for another one, such as 64_32, 007, 1e3 or nan, which Python reads too."""
    for kind in (int, float):
        with suppress(ValueError, OverflowError):  # whole numbers have no limit, floats do
            number = kind(text)
            if str(number) == text and math.isfinite(number):
                return number
    return None
