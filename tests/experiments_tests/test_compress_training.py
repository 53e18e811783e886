"""How a compression trains a model on: at which rate, and which layers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest
from fits import digits

from tailor.experiments.compression.train import Pruning, prune
from tailor.experiments.datasets.splits import DataHandle
from tailor.experiments.trials.job import TrialJob
from tailor.experiments.trials.run import build, serialize
from tailor.experiments.trials.saved_model import SavedModel
from tailor.models.training.pruning import measure_sparsity

SCHEDULED = """
import keras

def build(hparams, input_shape, num_classes):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.5, 100)), "sparse_categorical_crossentropy")
    return model
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    data = digits()
    for name in ("train_images", "train_labels", "val_images", "val_labels"):
        np.save(tmp_path / f"{name}.npy", getattr(data, name).numpy())
    return tmp_path


def begin(folder: Path, model: str, **values: object) -> tuple[TrialJob, SavedModel, keras.Model]:
    """A job, and its model as it was built and saved."""
    data = DataHandle(str(folder), (8, 8, 1), 10)
    values = {"precision": "float32", "batch_size": 128, **values}
    job = TrialJob("s", 0, 0, model, values, data, 2, 0, "val_accuracy", True, False, str(folder))
    net, _ = build(job)
    saved = serialize(net)
    (folder / "model.keras").write_bytes(saved)
    return job, SavedModel(folder / "model.keras", hashlib.sha256(saved).hexdigest()), net


def train(folder: Path, job: TrialJob, saved: SavedModel, plan: Pruning) -> keras.Model:
    (folder / "made.keras").write_bytes(prune(saved, job, plan).keras)
    return keras.saving.load_model(folder / "made.keras", compile=False)


def measure_moves(before: keras.Model, after: keras.Model) -> list[float]:
    """How far each kernel moved, at most, where it was not pruned."""
    found = []
    for old, new in zip(before.trainable_weights, after.trainable_weights, strict=True):
        if len(old.shape) >= 2:
            kept = new.numpy() != 0
            found.append(float(np.abs(new.numpy() - old.numpy())[kept].max()))
    return found


def test_the_rate_multiplies_the_rates_of_a_compiled_models_schedule_too(folder: Path) -> None:
    Path("nets.py").write_text(SCHEDULED, encoding="utf-8")
    job, saved, net = begin(folder, "nets.py:build")
    assert measure_moves(net, train(folder, job, saved, Pruning(0.1, 1.0, 2)))[0] > 0.01
    assert measure_moves(net, train(folder, job, saved, Pruning(0.1, 1e-6, 2)))[0] < 1e-4


@pytest.mark.parametrize(("trained", "moves"), [(2, [False, False, True]), (3, [False, True, True])])
def test_layers_that_the_trial_froze_last_stay_frozen(folder: Path, trained: int, moves: list[bool]) -> None:
    frozen = {"frozen_epochs": 2, "fine_tune_share": 0.5, "batch_norm": False, "depth": 2, "units": 16}
    job, saved, net = begin(folder, "mlp", learning_rate=0.01, **frozen)
    after = train(folder, job, saved, Pruning(0.5, 1.0, trained))
    assert [moved > 0 for moved in measure_moves(net, after)] == moves
    assert measure_sparsity(after) == pytest.approx(0.5, abs=0.01)  # of the frozen kernels too


def test_after_the_frozen_epochs_the_rate_is_that_of_fine_tuning(folder: Path) -> None:
    job, saved, net = begin(folder, "mlp", learning_rate=0.01, frozen_epochs=1, fine_tune_factor=1e-4)
    assert max(measure_moves(net, train(folder, job, saved, Pruning(0.1, 1.0, 2)))) < 1e-3
