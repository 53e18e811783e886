"""Trains the chosen seed again on train, val and holdout together, once holdout has made its choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..datasets.images import Images
from ..datasets.splits import Splits
from ..errors import InputError, RunError
from ..system.words import count
from ..tracking.kinds import REFIT
from .candidates import Candidate
from .records import Work
from .trainings import Trained, read_trained, train_left

PLATEAU = "plateau"


def check_refits(candidates: Sequence[Candidate]) -> None:
    """Raise InputError if the learning rates of one follow validation: without unseen images there are no such rates."""
    for one in candidates:
        if one.values.get("schedule") == PLATEAU:
            raise InputError(
                f"--register refit: trial {one.trial} trains by schedule {PLATEAU!r}, whose rates follow validation, and a refit "
                "trains on those images; register the median seed's model, or the average."
            )


def refit(work: Work, candidate: Candidate, chosen: Trained) -> Trained:
    """The chosen training again: its seed and schedule, more images, and an end after the epoch that it was best at.

    Raises RunError if that fails, Interrupted if a signal stopped it.
    """
    epochs = int(chosen.metrics["best_epoch"])
    if chosen.number not in read_trained(work.study, REFIT):
        line = f"training trial {candidate.trial} again on train, val and holdout, for {count(epochs, 'epoch')}"
        wanted = {chosen.number: candidate.suggest(chosen.number, work.spec.search.seed, last_epoch=epochs)}
        train_left(work, wanted, REFIT, join(work.splits), line)
    found = read_trained(work.study, REFIT).get(chosen.number)
    if found is None:
        raise RunError(
            f"trial {candidate.trial} of study {work.study.name!r} could not be trained on train, val and holdout; its run in "
            "MLflow says why. Without --register refit the model of its median seed is promoted."
        )
    return found


def join(splits: Splits) -> Splits:
    """Train, val and holdout together as train; val is still measured, on images that the model trains on."""
    parts = (splits.train, splits.val, splits.holdout)
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    return replace(splits, train=Images(images, labels), digest=f"{splits.digest}-{REFIT.name}")
