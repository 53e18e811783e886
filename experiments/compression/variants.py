"""Makes the variants that are asked for, and measures each: float32 models first, each with its 8-bit form after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.training.options import NAMES
from ..datasets.images import Images
from ..errors import InputError, RunError
from ..export import convert
from ..export.formats import FORMATS
from ..export.sample import take_sample
from ..store import Store
from ..system.words import count
from ..trials.evaluator import Evaluator
from ..trials.saved_model import SavedModel
from .measure import count_gzipped, measure_keras, measure_litert
from .records import ORIGINAL, Asked, Row, name_int8
from .source import Source, make_student_job
from .train import Diverged, Made, Pruning, distil, measure_zeros, prune, try_to_build

LITERT = FORMATS["litert"]
LEAST_TO_PRUNE, LEAST_TO_DISTIL = 3, 5  # epochs, if the trial itself had few
FREEZING = {"frozen_epochs", "frozen_share", "fine_tune_share", "fine_tune_factor"}
WAY = "prune or distil it (--prune, --distil) without --int8"  # if LiteRT cannot convert it


@dataclass(frozen=True)
class Variant:
    """A measured variant: its row, its file, how it was trained, and its probabilities on holdout."""

    row: Row
    file: Path
    made: Made
    described: Mapping[str, Any]  # as trial.json of a trial
    holdout: np.ndarray


@dataclass(frozen=True)
class Workshop:
    """What makes variants: the evaluator, a folder for their files, the student, whether to make 8-bit forms, and the screen."""

    evaluator: Evaluator
    folder: Path
    store: Store
    student: tuple[str, Mapping[str, Any]]
    int8: bool
    say: Callable[[str], None]


def make_variants(source: Source, asked: Asked, shop: Workshop) -> Iterator[Variant]:
    """The original first, then those asked for; of several, one whose training diverges is left out.

    Raises what training and conversion raise.
    """
    for base, saved, made, described in _make_models(source, asked, shop):
        shop.say(f"measuring {base}")
        variant = _measure(source, shop, base, saved, made, described)
        yield variant
        if shop.int8 and (base != ORIGINAL or asked.everything or not (asked.prune or asked.distil)):
            try:
                yield _quantize(source, shop, variant, saved)
            except RunError as error:
                if asked.int8:
                    raise
                shop.say(f"without {name_int8(base)}: {error}")  # the other variants are worth having


def check_student(source: Source, asked: Asked, shop: Workshop) -> None:
    """Raise InputError if the student cannot be built: before anything is trained, which takes minutes."""
    if not (asked.distil or asked.everything):
        return
    student = make_student_job(source.make_job(shop.store, asked, epochs=1), shop.student, epochs=1)
    if why := shop.evaluator.call(try_to_build, student):
        shape = " × ".join(map(str, student.data.input_shape))
        raise InputError(
            f"--student: expected values that a net can be built with for images of {shape}, got {student.model} with "
            f"{_list_sizes(shop)}: {why.rstrip('.')}; give others."
        )


def _list_sizes(shop: Workshop) -> str:
    return ", ".join(f"{key} {value}" for key, value in shop.student[1].items()) or "its defaults"


def _make_models(source: Source, asked: Asked, shop: Workshop) -> Iterator[tuple[str, SavedModel, Made, Mapping[str, Any]]]:
    yield ORIGINAL, source.saved, Made(source.saved.path.read_bytes()), source.described
    planned = int(source.described["epochs"])
    epochs = asked.epochs or max(LEAST_TO_PRUNE, round(planned / 3))
    job = source.make_job(shop.store, asked, epochs)
    for sparsity in asked.sparsities:
        name = f"pruned {100 * sparsity:g} %"
        rate = "" if asked.rate == 1 else f" at {asked.rate:g} times the trial's learning rate"
        shop.say(f"{name}: {count(epochs, 'epoch')}{rate}")
        made = _train(shop, asked, name, prune, source.saved, job, Pruning(sparsity, asked.rate, source.trained))
        if made is not None:
            described = {**source.described, "epochs": epochs, "trained": source.trained}
            yield name, _save(shop.folder, name, made, source.saved), made, described
    if asked.distil or asked.everything:
        epochs = asked.epochs or max(LEAST_TO_DISTIL, planned)
        student = make_student_job(job, shop.student, epochs)
        name = f"distilled {shop.student[0]}"
        shop.say(f"{name}: {count(epochs, 'epoch')}, {_list_sizes(shop)}")
        made = _train(shop, asked, name, distil, source.saved, (student, job), (asked.temperature, asked.alpha))
        if made is None:
            return
        # The student was trained by the teacher's options; a compiled teacher's are in its code, so its values alone say less.
        described = {**source.described, "model": student.model, "values": _list_values(source, student.values), "epochs": epochs}
        yield name, _save(shop.folder, name, made, None), made, described


def _train(shop: Workshop, asked: Asked, name: str, train: Callable[..., Made], *arguments: Any) -> Made | None:
    """Train a variant. None, after a line that says why, if that diverges and there are others; then they are worth having."""
    try:
        return shop.evaluator.call(train, *arguments)
    except Diverged as error:
        if asked.single:
            raise RunError(f"{name}: {error}") from error
        shop.say(f"without {name}: {error}")
        return None


def _list_values(source: Source, student: Mapping[str, Any]) -> dict[str, Any]:
    """The teacher's options but those of freezing, with which no student is trained, and the student's architecture."""
    options = {name: value for name, value in source.described["values"].items() if name in NAMES and name not in FREEZING}
    return {**options, **student}


def _save(folder: Path, name: str, made: Made, source: SavedModel | None) -> SavedModel:
    path = folder / f"{name.replace(' ', '-').replace('%', 'percent')}.keras"
    path.write_bytes(made.keras)
    sha256 = hashlib.sha256(made.keras).hexdigest()
    if source is None:
        return SavedModel(path, sha256)
    return SavedModel(path, sha256, source.source, source.source_sha256)


def _measure(source: Source, shop: Workshop, base: str, saved: SavedModel, made: Made, described: Mapping[str, Any]) -> Variant:
    holdout = shop.evaluator.predict(saved, source.splits.holdout.images)
    sparsity, parameters = shop.evaluator.call(measure_zeros, saved)
    row = Row(
        name=base,
        base=base,
        runtime="TensorFlow",
        holdout_accuracy=_score(holdout, source.splits.holdout),
        bytes=len(made.keras),
        gzip_bytes=count_gzipped(made.keras),
        cost=measure_keras(saved),
        sparsity=sparsity,
        parameters=parameters,
        best_epoch=made.best_epoch,
    )
    return Variant(row, saved.path, made, described, holdout)


def _quantize(source: Source, shop: Workshop, base: Variant, saved: SavedModel) -> Variant:
    """The 8-bit form by LiteRT, calibrated with training images."""
    name = name_int8(base.row.base)
    shop.say(f"{name}: converting and measuring")
    path = shop.folder / f"{base.file.stem}-int8.tflite"
    shop.evaluator.call(convert.write, saved, LITERT, path, take_sample(source.splits.train), WAY)
    answers = shop.evaluator.call(convert.run, LITERT, path, source.splits.holdout.images)[2]
    data = path.read_bytes()
    row = Row(
        name=name,
        base=base.row.base,
        runtime="LiteRT",
        holdout_accuracy=_score(answers, source.splits.holdout),
        bytes=len(data),
        gzip_bytes=count_gzipped(data),
        cost=measure_litert(path),
        sparsity=base.row.sparsity,
        parameters=base.row.parameters,
        best_epoch=base.row.best_epoch,
    )
    return Variant(row, path, base.made, base.described, base.holdout)


def _score(probabilities: np.ndarray, part: Images) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == part.labels))
