"""Fashion-MNIST as every side of the whole-search benchmarks trains and validates on it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

SPLITS = {"val": 5000, "holdout": 5000}
SPLITS_LINE = f"splits = {{ {', '.join(f'{name} = {size}' for name, size in SPLITS.items())} }}"  # as in a study file


def arrays() -> tuple[np.ndarray, ...]:
    """Training and validation images, float32 (n, 28, 28, 1) in 0…1, each with its labels: cut as Tailor cuts them."""
    from tailor.experiments.datasets.catalog import open_dataset
    from tailor.experiments.datasets.splits import split
    from tailor.search.study.spec import DataPlan

    cut = split(open_dataset("fashion-mnist", Path(os.environ["TAILOR_DATA"])), DataPlan(SPLITS))
    train, val = (part.images.astype("float32") / 255 for part in (cut.train, cut.val))
    return train, cut.train.labels, val, cut.val.labels
