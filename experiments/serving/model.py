"""What a server answers with: a loaded model. Imports neither TensorFlow nor MLflow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..datasets.looks import Looks
from ..trials.litert import Predict

QUICK = 0.005  # seconds of a prediction that may hold up other requests
CALLS = 9  # to time


@dataclass(frozen=True)
class ServedModel:
    """`predict` takes raw uint8 images (n, *shape) and returns probabilities (n, classes), in the order of `labels`.

    `quick`: one image is predicted so fast that handing it to another thread would cost more.
    """

    name: str
    version: str
    shape: tuple[int, int, int]
    labels: list[str]
    looks: Looks | None
    card: str
    predict: Predict
    quick: bool


class Answering(Protocol):
    """The model that answers now; `trouble` says why it is not the one that should, and is empty if it is."""

    @property
    def model(self) -> ServedModel: ...

    @property
    def trouble(self) -> str: ...


@dataclass(frozen=True)
class Fixed:
    """A model that answers as long as the server runs."""

    model: ServedModel
    trouble: str = ""


def is_quick(predict: Predict, shape: tuple[int, int, int]) -> bool:
    """Whether the fastest of some predictions of one image takes less than QUICK."""
    image, seconds = np.zeros((1, *shape), np.uint8), []
    for _ in range(CALLS):
        start = time.perf_counter()
        predict(image)
        seconds.append(time.perf_counter() - start)
    return min(seconds) < QUICK
