"""Whether promotions can be trusted: equal models (A/A), better ones (A/B), and what they promise against unused data.

[TAILOR_DATA=DIR] python benchmarks/promotions.py [--only equal,better,promises] [--studies 60] [--log FILE]
    [--out benchmarks/RESULTS.md]

Some half an hour on two cores to itself. The judge is the product's own, with its default plan; only the tests that it sees
are simulated:

- The models are real ones, trained once a run, and answer a large test part of their data once. This part then stands for
  the world: each simulated promotion draws its own test of it, with replacement, and draws its two models. What is judged is
  how well a model does on the world.
- A/A. "As trained": the two are any two of forty trainings of one configuration that differ in their seeds alone. Their scores on
  the world truly differ, the losses most, so some of these promotions are right; "and truly no better" counts those that are not.
  "Made equal": for each example drawn, a coin says which of the two gives which answer. No difference is left, and the two
  disagree as much as before. This is the champion that is equal.
- A/B. The two are trials of one search of which the challenger is better by 2 points or more (at most 5). To make it 2
  points exactly, they swap their answers on some examples, drawn at random, that the challenger alone has right: the two disagree
  as often as the real ones. Without TAILOR_DATA the models and examples are of digits.
- Promises: `promises.py`. With --log, a study that is noted there is not run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import machine, markdown, write_section
from promises import SPACE, STUDY, Promise, keep_promise
from recorded import make_study, record
from scipy.stats import binomtest, t

from tailor.experiments.promotion.statistics import LOWER_IS_BETTER, METRICS, Predictions, score
from tailor.experiments.promotion.verdict import judge, weigh
from tailor.experiments.system.forkserver import loading
from tailor.search.study.sections import PromotionPlan

Pair = tuple[Predictions, Predictions]  # challenger, champion
TRAININGS, EQUAL_PROMOTIONS, BETTER_PROMOTIONS = 40, 400, 100
USUAL_TEST = 270  # what digits' default cut has
ROOM = 0.03  # a pair may be better by so much more than the gain asked for: few answers are swapped
SIZES = (270, 1000, 10_000)
GAINS = {0.01: SIZES, 0.02: SIZES, 0.04: SIZES[:2]}  # with the sizes of the tests
FASHION = {
    "learning_rate": {"low": 1e-4, "high": 3e-2, "log": True},
    "depth": {"low": 1, "high": 3},
    "units": {"choices": [16, 32, 64, 128]},
    "dropout": {"low": 0.0, "high": 0.5},
}
HEAD = {"equal": "Promotions of a model no better", "better": "Promotions of a better model", "promises": "What a card promises"}


def swap(pair: Pair, where: np.ndarray) -> Pair:
    """Two models that give each other's answers where it is true, bool (n,)."""
    one, other = pair
    answers = np.where(where[:, None], (other.probabilities, one.probabilities), (one.probabilities, other.probabilities))
    return Predictions(one.labels, answers[0]), Predictions(one.labels, answers[1])


def draw(pair: Pair, examples: int, rng: np.random.Generator) -> Pair:
    """The pair's answers on examples drawn with replacement."""
    rows = rng.integers(0, len(pair[0].labels), examples)
    one, other = (Predictions(model.labels[rows], model.probabilities[rows]) for model in pair)
    return one, other


def is_promoted(metric: str, pair: Pair) -> bool:
    """The product's verdict, with its default plan."""
    return judge(PromotionPlan(), weigh(metric, *pair)).outcome == "promoted"


def share(promoted: Sequence[bool]) -> str:
    """The share promoted, with its 95 % interval (Wilson)."""
    test = binomtest(sum(promoted), len(promoted))
    interval = test.proportion_ci(method="wilson")
    return f"**{100 * test.statistic:.1f} %** ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def disagreement(pairs: Sequence[Pair]) -> float:
    """How often two models differ in being right, in percent, in the mean."""
    return 100 * float(np.mean([(one.right != other.right).mean() for one, other in pairs]))


def narrow(pair: Pair, gain: float, rng: np.random.Generator) -> Pair:
    """The pair with a gain in accuracy of exactly so much (but for half an example)."""
    one, other = pair
    surplus = one.right.mean() - other.right.mean() - gain
    gained = np.flatnonzero(one.right & ~other.right)
    where = np.zeros(len(one.labels), bool)
    where[rng.choice(gained, round(surplus * len(one.labels) / 2), replace=False)] = True
    return swap(pair, where)


def measure_equal(folder: Path, options: Any) -> str:
    """A/A: the share of promotions among trainings of one configuration."""
    study = make_study(
        "equal",
        "digits",
        {"trials": TRAININGS, "max_epochs": 24},
        training={"batch_size": 32, "learning_rate": 3e-3, "depth": 1, "units": 64, "dropout": 0.1},
        data={"splits": {"val": 100, "holdout": 20, "test": 1277}},
    )
    models = record(study, folder / "equal", None)
    rng, rows = np.random.default_rng(0), []
    for metric in METRICS:
        scores = [score(metric, model) for model in models]
        worth = [-value for value in scores] if metric in LOWER_IS_BETTER else scores
        found: dict[str, list[bool]] = {"as trained": [], "wrongly": [], "made equal": []}
        for _ in range(EQUAL_PROMOTIONS):
            one, other = rng.choice(len(models), 2, replace=False)
            pair = draw((models[one], models[other]), USUAL_TEST, rng)
            found["as trained"].append(is_promoted(metric, pair))
            found["wrongly"].append(found["as trained"][-1] and worth[one] <= worth[other])
            found["made equal"].append(is_promoted(metric, swap(pair, rng.random(USUAL_TEST) < 0.5)))
        spread = f"{np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}"
        rows.append([metric, spread, *map(share, found.values()), "≤ 5 %"])
    pairs = list(itertools.combinations(models, 2))
    head = (
        "metric",
        "the models' (mean ± deviation)",
        "promoted, as trained",
        "and truly no better",
        "promoted, made equal",
        "aim",
    )
    return f"""
{TRAININGS} trainings of one configuration on 400 images of digits, each with its own seed; {len(models[0].labels):,} other images
stand for the world. {EQUAL_PROMOTIONS:,} simulated promotions of each kind: two trainings drawn at random, and a test of
{USUAL_TEST} images drawn at random with replacement. Of two trainings only one is right on {disagreement(pairs):.1f} % of
the images. In brackets the 95 % interval (Wilson), which takes the models and the images as given.

{markdown(head, rows)}
"""


def measure_better(folder: Path, options: Any) -> str:
    """A/B: the share of promotions of challengers that are truly better."""
    data = os.environ.get("TAILOR_DATA")
    dataset, space = ("fashion-mnist", FASHION) if data else ("digits", {**SPACE, "units": {"choices": [4, 8, 16, 32]}})
    splits = {"val": 2000, "holdout": 48_000} if data else {"val": 100, "holdout": 20, "test": 1277}
    search = {"trials": 16, "max_epochs": 4, "seed": 1}
    study = make_study("better", dataset, search, space=space, data={"splits": splits}, training={"batch_size": 64})
    models = record(study, folder / "better", Path(data) if data else None)
    accuracies = [score("accuracy", model) for model in models]
    rng, rows = np.random.default_rng(0), []
    for gain, sizes in GAINS.items():
        places = [
            (one, other)
            for one, other in itertools.permutations(range(len(models)), 2)
            if gain <= accuracies[one] - accuracies[other] <= gain + ROOM
        ]
        pairs = [narrow((models[one], models[other]), gain, rng) for one, other in places]
        if not pairs:
            continue
        cells = []
        for size in sizes:
            drawn = [pairs[place] for place in rng.integers(0, len(pairs), BETTER_PROMOTIONS)]
            cells.append(share([is_promoted("accuracy", draw(pair, size, rng)) for pair in drawn]))
        cells += [""] * (len(SIZES) - len(sizes))
        agreed = f"{disagreement(pairs):.1f} % ({len(pairs)} pairs)"
        rows.append(
            [f"{100 * gain:g} point{'' if gain == 0.01 else 's'}", agreed, *cells, "≥ 95 % of 10,000" if gain == 0.02 else ""]
        )
    head = ("truly better by", "only one is right on", *(f"promoted, test of {size:,}" for size in SIZES), "aim")
    return f"""
{len(models)} trials of a random search of dense networks on {dataset}, accuracies {min(accuracies):.3f}–{max(accuracies):.3f};
the {len(models[0].labels):,} test images that they answered stand for the world. {BETTER_PROMOTIONS} simulated promotions a cell:
a pair drawn at random, and a test drawn at random with replacement, judged by accuracy. A pair's gain is made exact by
swapping a few answers (see the file's first lines). In brackets the 95 % interval (Wilson).

{markdown(head, rows)}
"""


def measure_promises(folder: Path, options: Any) -> str:
    """Whether the card's accuracy is that on data never used, and whether the best validation score is."""
    log: Path | None = options.log
    lines = log.read_text().splitlines() if log is not None and log.exists() else []
    found = {one.seed: one for one in (Promise(**json.loads(line)) for line in lines)}
    for seed in range(options.studies):
        if seed not in found:
            found[seed] = keep_promise(seed, folder)
            if log is not None:
                with log.open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(found[seed])) + "\n")
            print(found[seed], file=sys.stderr)
    promises = [found[seed] for seed in range(options.studies)]
    names = {"test": "the card's: test", "holdout": "the choice's own: holdout", "val": "as peers report: best validation score"}
    rows = []
    for name, title in names.items():
        promised = f"{100 * np.mean([getattr(one, name) for one in promises]):.2f} %"
        plain, steady = ([getattr(one, kind)[name] for one in promises] for kind in ("gaps", "steady_gaps"))
        rows.append([title, promised, mean_with_interval(plain), mean_with_interval(steady), "±0.3" if name == "test" else ""])
    head = ("accuracy promised", "mean", "promised − unused, points", "the same, less the images' ease", "aim")
    return f"""
{len(promises)} studies of digits, each with its own cut: {STUDY:,} images for the study (400 train, 100 validation, 100 holdout,
500 test) and 697 that it never had. Each is a search of 12 trials and a promotion with the default plan (the best 3 trained again
on 3 fresh seeds). Mean difference between the accuracy promised and that of the same model on the unused images, with its 95 %
interval over studies (t). The last column subtracts the difference that a logistic regression has, which saw the
training images alone: it is 0 in the mean, and tells which images happened to be the easier ones. The cuts overlap, since
all are of the same 1,797 images.

{markdown(head, rows)}
"""


def mean_with_interval(values: Sequence[float]) -> str:
    """The mean with its 95 % interval (Student's t)."""
    mean, half = np.mean(values), t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"**{mean:+.2f}** ({mean - half:+.2f} to {mean + half:+.2f})"


PARTS: dict[str, Callable[[Path, Any], str]] = {
    "equal": measure_equal,
    "better": measure_better,
    "promises": measure_promises,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder, loading():
            text = PARTS[name](Path(folder), options)
        studies = f" --studies {options.studies}" if name == "promises" else ""
        command = f"Command: `python benchmarks/promotions.py --only {name}{studies}`."
        write_section(options.out, HEAD[name], f"{machine('tensorflow', 'keras', 'numpy', 'scipy')} {command}\n{text.strip()}")


if __name__ == "__main__":
    main()
