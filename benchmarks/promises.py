"""What a promotion promises, against data that its study never had: one study of digits, searched and promoted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recorded import Quiet, find, make_study
from sklearn.linear_model import LogisticRegression

import tailor
from tailor.experiments.coordinator.session import Places
from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.images import Images
from tailor.experiments.datasets.splits import stratify
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.promotion.promote import Work, promote
from tailor.experiments.promotion.records import Request
from tailor.experiments.registry.files import fetch_saved_model, find_best_model
from tailor.experiments.trials.evaluator import Evaluator
from tailor.search.study.sections import PromotionPlan

STUDY = 1100  # images that a study gets; the other 697 of digits are kept from it
SPLITS = {"val": 100, "holdout": 100, "test": 500}  # 400 to train on
SPACE = {
    "learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
    "depth": {"low": 1, "high": 2},
    "units": {"choices": [32, 64, 128]},
    "dropout": {"low": 0.0, "high": 0.4},
}


@dataclass(frozen=True)
class Promise:
    """Accuracies of one study. `test` (what the card says), `holdout` and `unused` are the promoted model's; `val` and
    `val_unused` are the search's own best model's. `easy_…` are those of a reference that saw the training images alone.
    """

    seed: int
    test: float
    holdout: float
    unused: float
    val: float
    val_unused: float
    easy_test: float
    easy_holdout: float
    easy_val: float
    easy_unused: float

    @property
    def gaps(self) -> dict[str, float]:
        """Promise less truth, in points, by what is promised."""
        truths = {"test": self.unused, "holdout": self.unused, "val": self.val_unused}
        return {name: 100 * (getattr(self, name) - truth) for name, truth in truths.items()}

    @property
    def steady_gaps(self) -> dict[str, float]:
        """The same less the reference's gap, which is 0 in the mean and tells which images were the easier ones."""
        return {name: gap - 100 * (getattr(self, f"easy_{name}") - self.easy_unused) for name, gap in self.gaps.items()}


def keep_promise(seed: int, folder: Path) -> Promise:
    """Cut digits anew, search twelve trials on one part, promote, and score the models on the part that was kept away."""
    digits = open_dataset("digits", None).pool
    rows = stratify(digits.labels, STUDY, np.random.default_rng([seed, 17]))
    part, unused = digits.take(rows), digits.take(np.delete(np.arange(len(digits)), rows))
    path = folder / f"part-{seed}.npz"
    np.savez(path, images=part.images, labels=part.labels)
    tables = make_study(
        f"part-{seed}",
        f"npz:{path}",
        {"sampler": "tpe", "trials": 12, "max_epochs": 8, "keep_models": 1, "seed": seed},
        space=SPACE,
        training={"batch_size": 32, "batch_norm": True, "precision": "float32"},
        workers={"count": 1},
        data={"splits": SPLITS, "seed": seed},
    )
    result = tailor.run(tables, store=folder / "store", quiet=True)
    study, splits = find(result), open_data(result.spec, None)
    with Evaluator() as evaluator:
        with result.store.reserved():
            work = Work(study, study.read_spec(), splits, Places(result.store), Quiet())
            made = promote(Request(f"digits-{seed}", PromotionPlan()), work)
        assert made.test is not None

        def score(model: str) -> float:
            guesses = evaluator.predict(fetch_saved_model(study.client, model), unused.images).argmax(axis=1)
            return float((guesses == unused.labels).mean())

        best = result.best
        assert best.value is not None
        reference = LogisticRegression(max_iter=1000).fit(_flat(splits.train), splits.train.labels)
        easy = [reference.score(_flat(one), one.labels) for one in (splits.test, splits.holdout, splits.val, unused)]
        accuracies = (
            made.test.value,
            made.choice.holdout.value,
            score(made.choice.model_id),
            best.value,
            score(find_best_model(study)),
        )
        return Promise(seed, *accuracies, *map(float, easy))


def _flat(images: Images) -> np.ndarray:
    return images.images.reshape(len(images), -1) / 255
