"""The card of a registered model: where it came from and what it scored, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..tracking.leaderboard import Row

BUILT_IN = ("import keras", 'model = keras.saving.load_model("model.keras", compile=False)')
OWN_CODE = ("import tailor  # the model has custom layers", 'model, labels = tailor.load("DIR")  # the folder of `tailor pull`')


def write_card(name: str, spec: StudySpec, row: Row, tags: Mapping[str, str], splits: Splits) -> str:
    """Where a model came from and what it scored, as Markdown."""
    lines = [
        f"# {name}",
        "",
        f"Trial {row.trial} of study `{spec.name}` (model `{spec.model}` on `{spec.dataset}`), run `{row.run_id}`.",
        "",
        "| measured on | images | accuracy | loss |",
        "| --- | --- | --- | --- |",
        f"| validation (steered the search) | {splits.sizes['val']} | {row.metrics['best_val_accuracy']:.4f} "
        f"| {row.metrics['best_val_loss']:.4f} |",
        f"| test (opened for this card) | {splits.sizes['test']} | {float(tags['tailor.test_accuracy']):.4f} "
        f"| {float(tags['tailor.test_loss']):.4f} |",
        "",
        f"Verdict: {tags['tailor.verdict']}.",
        "",
        "| hyperparameter | value |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in sorted(row.params.items())),
        "",
        f"Input: raw uint8 images, 0–255, shaped (n, {', '.join(map(str, splits.train.images.shape[1:]))}); "
        f"rescaling: {tags['tailor.rescaling']}.",
        f"Classes: {', '.join(splits.class_names)}.",
        f"Data digest `{splits.digest}`; SHA-256 of model.keras `{tags['tailor.sha256']}`.",
        "",
        "```python",
        *(OWN_CODE if "tailor.code_sha256" in tags else BUILT_IN),
        "```",
    ]
    return "\n".join(lines)
