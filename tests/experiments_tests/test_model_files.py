"""Our layout of a logged model against what MLflow's own save_model writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import mlflow.tensorflow
import numpy as np
import pytest
import yaml

from tailor.experiments.tracking.model_files import ModelFile, list_requirements, make_signature, write
from tailor.experiments.trials.run import serialize


@pytest.fixture(autouse=True)
def no_custom_objects() -> Iterator[None]:
    """MLflow's own writer pickles whatever is registered in the process; other tests register layers."""
    objects = keras.saving.get_custom_objects()
    kept = dict(objects)
    objects.clear()
    yield
    objects.update(kept)


@pytest.fixture
def model() -> keras.Model:
    layers = [keras.Input((4, 4, 1), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential(layers)


def test_the_layout_is_mlflows_own(model: keras.Model, tmp_path: Path) -> None:
    write(ModelFile(serialize(model), (4, 4, 1), 3), tmp_path / "ours", None, {})
    mlflow.tensorflow.save_model(
        model, str(tmp_path / "theirs"), signature=make_signature((4, 4, 1), 3), pip_requirements=list_requirements()
    )
    ours, theirs = (sorted(str(p.relative_to(tmp_path / n)) for p in (tmp_path / n).rglob("*")) for n in ("ours", "theirs"))
    assert ours == theirs
    flavors = [yaml.safe_load((tmp_path / name / "MLmodel").read_text()) for name in ("ours", "theirs")]
    for key in ("flavors", "signature", "mlflow_version"):
        assert flavors[0][key] == flavors[1][key]
    assert (tmp_path / "ours/requirements.txt").read_text() == (tmp_path / "theirs/requirements.txt").read_text()
    for name in ("data/keras_module.txt", "data/save_format.txt"):
        assert (tmp_path / "ours" / name).read_text() == (tmp_path / "theirs" / name).read_text()


def test_mlflow_loads_it_by_both_flavors_without_pickles(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    write(ModelFile(serialize(model), (4, 4, 1), 3), tmp_path / "ours", None, {})
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype="uint8")
    expected = model.predict(images, verbose=0)
    assert mlflow.pyfunc.load_model(str(tmp_path / "ours")).predict(images) == pytest.approx(expected)
    assert mlflow.tensorflow.load_model(str(tmp_path / "ours")).predict(images, verbose=0) == pytest.approx(expected)
