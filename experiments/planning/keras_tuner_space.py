"""The space that a model declares by Keras Tuner's hp: found by calling the model in a separate process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...models.errors import ModelError
from ...models.keras_tuner import hypermodel
from ...search.study.from_keras_tuner import complete, translate
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..errors import InputError
from ..system.folder import working_in
from ..trials.evaluator import Evaluator
from ..trials.failure import describe_error


def discover(spec: StudySpec, splits: Splits) -> StudySpec:
    """The spec with its whole space. Raises ModelError, StudyError, and InputError if the model cannot be built."""
    if spec.source.known:
        return spec
    shape = splits.train.images.shape[1:]
    with Evaluator(threads=1) as evaluator:
        configs = evaluator.call(_declared, spec.model, str(Path.cwd()), shape, len(splits.class_names))
    return complete(spec, translate(configs))


def _declared(name: str, folder: str, shape: tuple[int, int, int], num_classes: int) -> list[Mapping[str, Any]]:
    try:
        with working_in(folder):
            return hypermodel.find_hyperparameters(name, shape, num_classes)
    except ModelError:
        raise
    except Exception as error:
        raise InputError(f"model {name!r} cannot be built: {describe_error(error)}") from error
