"""The images that an export needs: held-out ones to compare on, and training ones to calibrate int8 with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..datasets.images import Images
from ..datasets.splits import stratify
from ..errors import InputError, RunError
from ..planning.resolve import open_data
from ..registry.versions import DIGEST, read_promoted_tag
from ..tracking.reader import find_study

IMAGES = 200


@dataclass(frozen=True)
class Sample:
    """Raw uint8 images (n, height, width, channels): at most 200 of holdout, and of train; the classes in proportion."""

    holdout: np.ndarray
    train: np.ndarray


def draw_sample(client: MlflowClient, version: ModelVersion, data_dir: Path | None) -> Sample:
    """Read the data of the version's study and take the images. Raises InputError if it is not the data of the version.

    The test set stays closed: only promotions open it.
    """
    name = read_promoted_tag(version, "tailor.study")
    try:
        study = find_study(client, name)
        if study is None:
            raise InputError(f"study {name!r} is not in the store.")
        splits = open_data(study.read_spec(), data_dir)
        if splits.digest != read_promoted_tag(version, DIGEST):
            raise InputError(f"{version.tags['tailor.dataset']!r} now holds other data than the version was made from.")
    except (InputError, RunError) as error:
        raise InputError(f"no images to compare on: {error} (--unchecked exports it in float32 without a comparison.)") from error
    return Sample(take_sample(splits.holdout), take_sample(splits.train))


def take_sample(part: Images) -> np.ndarray:
    """At most 200 images of a split, the classes in proportion."""
    return part.take(stratify(part.labels, min(IMAGES, len(part)), np.random.default_rng(0))).images
