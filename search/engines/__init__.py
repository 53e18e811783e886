"""The engines: each only translates between the protocol and its library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..study.spec import StudySpec
    from .protocol import Engine


def check(spec: StudySpec) -> None:
    """Make the spec's sampler and pruner, try their arguments, and forget them. Raises StudyError for what they do not take."""
    from .rehearsal import rehearse

    if spec.search.engine == "keras-tuner":
        from .keras_tuner import make_oracle

        make_oracle(spec)
    else:
        from .samplers import make_pruner, make_sampler

        make_sampler(spec.search, 0)
        make_pruner(spec.search)
    rehearse(spec)


def open_engine(spec: StudySpec, storage_url: str, folder: Path, say: Callable[[str], None] = print) -> Engine:
    """The spec's engine on its store, created if it is new: Optuna's at a database's URL, Keras Tuner's in a folder.

    Heavy libraries load here, not on import. `say` prints that a database's server is away, and that it is back.
    """
    if spec.search.engine == "keras-tuner":
        from .keras_tuner import KerasTunerEngine

        return KerasTunerEngine.open(spec, folder)
    from .optuna import OptunaEngine

    return OptunaEngine.open(spec, storage_url, say)
