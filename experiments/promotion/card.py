"""The card of a registered model: what it is for, where it came from, and what it scored, as Markdown."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...search.study.spec import StudySpec
from ..datasets.folder import show_size
from ..datasets.splits import Splits
from ..errors import write_command
from ..tracking.ui_links import make_base_url
from .ranking import Ranked, show_deviation
from .report import PAGE
from .statistics import Interval, Predictions, measure_calibration, score, score_with_interval
from .verdict import Verdict

BUILT_IN = ("import keras", 'model = keras.saving.load_model("model.keras", compile=False)')
OWN_CODE = ("import tailor  # the model has custom layers", 'model, labels = tailor.load("DIR")  # the folder of `tailor pull`')
MOST_CLASSES = 20  # whose recalls and confusions the card holds; all are in the evidence's run
MANY_OPENINGS = 2
FEW_NAMES = 12  # classes that a registered name's description lists


@dataclass(frozen=True)
class Facts:
    """What a card tells. `how` is how the model was chosen; `params` are its hyperparameters; `versions` name the packages."""

    name: str
    trial: int
    source: str
    how: str
    run_id: str
    evidence_url: str
    metric: str
    holdout: Interval
    refit: bool
    as_searched: bool
    note: str
    ranking: Sequence[Ranked]
    verdict: Verdict
    openings: int
    params: Mapping[str, str]
    costs: Mapping[str, float]
    tags: Mapping[str, str]
    versions: Mapping[str, str]


def write_purpose(name: str, dataset: str, splits: Splits) -> str:
    """What a registered name is for, whichever version is its champion; Markdown."""
    *size, channels = splits.train.images.shape[1:]
    names = splits.class_names[:FEW_NAMES]
    more = f" and {len(splits.class_names) - FEW_NAMES:,} more" if len(splits.class_names) > FEW_NAMES else ""
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return (
        f"Classifies {kind} images of {show_size(size)} pixels, as in `{dataset}`, into {len(splits.class_names):,} classes: "
        f"{', '.join(names)}{more}.\n\n"
        "The alias `champion` is the version to use; a `challenger` did not take its place. Each version's page is its card: "
        "what it scored, on what, how it was chosen, and why it is what it is.\n\n"
        f"- classify an image: {write_command('predict', name, 'image.png')}\n"
        f"- serve it: {write_command('serve', name)}\n"
        f"- get its files: {write_command('pull', name, '-o', 'FOLDER')}\n"
        f"- its versions, and a way back: {write_command('history', name)}, {write_command('rollback', name)}\n"
    )


def write_card(facts: Facts, spec: StudySpec, splits: Splits, test: Predictions) -> str:
    """The card, from the facts and the model's predictions on the test split."""
    names, verdict = splits.class_names, facts.verdict
    shape = ", ".join(map(str, splits.train.images.shape[1:]))
    error, _ = measure_calibration(test)
    lines = [
        f"# {facts.name}",
        "",
        f"Classifies images of `{spec.dataset}` into {len(names)} classes: {_list(names)}. Made {_today()} from "
        f"{facts.source} of study `{spec.name}` (model `{spec.model}`): {facts.how}, run `{facts.run_id}`.",
        "",
        "| measured on | images | accuracy (95 %) | loss |",
        "| --- | --- | --- | --- |",
        f"| holdout ({_explain_holdout(facts)}) | {splits.sizes['holdout']} | {_holdout(facts)} |",
        f"| test (opened {_times(facts.openings)} for this name) | {splits.sizes['test']} | "
        f"{_show(score_with_interval('accuracy', test))} | {score('loss', test):.4f} |",
        "",
        f"**Verdict: {verdict.outcome}** – {verdict.reason}."
        + (f" {_upper(verdict.evidence.describe())}." if verdict.evidence else "")
        + (
            f" [Evidence]({facts.evidence_url}), and [its report]({facts.evidence_url}/artifacts/{PAGE})"
            f"{', while `tailor ui` runs' * facts.evidence_url.startswith(make_base_url(''))}."
            if facts.evidence_url
            else ""
        ),
        *_warn(facts, score("accuracy", test), splits.sizes["test"]),
        "",
        f"Calibration error {error:.4f}: how far, on average, its confidence is from its accuracy.",
        *_costs(facts.costs, "pruned" in facts.tags.get("tailor.compressed_how", "")),
        *(["", facts.note] if facts.note else []),
        "",
        *_seeds(facts),
        *_classes(test, names),
        f"| hyperparameter{_of_first(facts)} | value |",
        "| --- | --- |",
        *(f"| {key} | {_cell(value[:80])} |" for key, value in sorted(facts.params.items())),
        "",
        f"Input: raw uint8 images, 0–255, shaped (n, {shape}); rescaling: {facts.tags['tailor.rescaling']}.",
        f"Data digest `{splits.digest}`; SHA-256 of model.keras `{facts.tags['tailor.sha256']}`.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in facts.versions.items())}.",
        "",
        "```python",
        *(OWN_CODE if "tailor.code_sha256" in facts.tags else BUILT_IN),
        "```",
    ]
    return "\n".join(lines)


def _of_first(facts: Facts) -> str:
    return "" if facts.source == f"trial {facts.trial}" else f" of trial {facts.trial}, its first"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def warn_of_openings(openings: int, accuracy: float, images: int) -> str:
    """How lucky the best of so many looks at one test set may be; empty for the first look.

    The expected maximum of n equal models' scores is at most sqrt(2 ln n) standard errors above the truth. The error is that of
    the accuracy with one more image right and one more wrong (Laplace): all right, of a few images, is no certainty.
    """
    if openings < MANY_OPENINGS:
        return ""
    likely = (accuracy * images + 1) / (images + 2)
    luck = float(np.sqrt(2 * np.log(openings)) * np.sqrt(likely * (1 - likely) / images))
    return (
        f"The test set was opened {openings} times for this name: of so many models as good as this one, "
        f"the best may look up to {100 * luck:.1f} points better than it is, by luck. Fresh test data would end that."
    )


def _warn(facts: Facts, accuracy: float, images: int) -> list[str]:
    warning = warn_of_openings(facts.openings, accuracy, images)
    return ["", warning] if warning else []


def _explain_holdout(facts: Facts) -> str:
    if facts.as_searched:
        return "no search has seen it"
    if facts.refit and "tailor.compressed_how" in facts.tags:
        return "chose the variant; its original was trained on it"
    return "chose the seed; this model was trained on it afterwards" if facts.refit else "chose the model; no search has seen it"


def _holdout(facts: Facts) -> str:
    """The holdout score in the column of its metric; in the first one, named, if it has none."""
    if facts.metric == "loss":
        return f"– | {_show(facts.holdout)}"
    return _show(facts.holdout) + ("" if facts.metric == "accuracy" else f" ({facts.metric})") + " | –"


def _show(one: Interval) -> str:
    return f"{one.value:.4f} ({one.low:.4f}–{one.high:.4f})"


def _costs(costs: Mapping[str, float], sparse: bool) -> list[str]:
    units = {
        "parameters": "parameters that are not 0" if sparse else "parameters",
        "model_bytes": "bytes",
        "latency_ms": "ms an image",
    }
    shown = [f"{value:,.{2 if name == 'latency_ms' else 0}f} {units[name]}" for name, value in costs.items() if name in units]
    return [f"Cost: {', '.join(shown)}."] if shown else []


def _seeds(facts: Facts) -> list[str]:
    if facts.as_searched:
        return ["It is the search's own model, not trained again: its validation score flatters it.", ""]
    if not facts.ranking:
        return []
    rows = [
        f"| {row.trial} | {row.mean:.4f} | {show_deviation(row)} | {', '.join(f'{one:.4f}' for one in row.scores)} |"
        for row in facts.ranking
    ]
    return [f"| trial | mean {facts.metric} on holdout | deviation | by seed |", "| --- | --- | --- | --- |", *rows, ""]


def _classes(test: Predictions, names: Sequence[str]) -> list[str]:
    recalls = test.recalls
    order = np.argsort(np.nan_to_num(recalls, nan=2.0), kind="stable")[:MOST_CLASSES]
    guesses, lines = test.guesses, ["| class (worst first) | test recall | most often taken for |", "| --- | --- | --- |"]
    for place in order:
        wrong = guesses[(test.labels == place) & (guesses != place)]
        other = "–" if not len(wrong) else f"{_cell(names[int(np.bincount(wrong).argmax())])} ({np.bincount(wrong).max()}×)"
        lines.append(f"| {_cell(names[place])} | {'–' if np.isnan(recalls[place]) else f'{recalls[place]:.4f}'} | {other} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    """The text for a cell of a table in Markdown."""
    return text.replace("|", "\\|")


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:MOST_CLASSES]) + (f", … ({len(names)} in all)" if len(names) > MOST_CLASSES else "")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
