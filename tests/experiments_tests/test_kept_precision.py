"""A model that trained in bfloat16 is kept in float32, also one that cannot be cloned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tailor.experiments.datasets.splits import DataHandle
from tailor.experiments.trials.evaluator import _predict
from tailor.experiments.trials.job import TrialJob
from tailor.experiments.trials.preflight import inspect_model
from tailor.experiments.trials.run import build, convert_to_float32, serialize
from tailor.experiments.trials.saved_model import SavedModel
from tailor.models.training.clone import signature, uses_bfloat16

ADAPTED = """
import keras
import numpy as np

def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).integers(0, 256, (20, *input_shape)))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(norm(inputs)))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax", dtype=hparams.get("head"))(x))
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialJob:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(ADAPTED, encoding="utf-8")
    data, values = DataHandle("", (8, 8, 1), 10), {"precision": "bfloat16"}
    return TrialJob("s", 0, 0, "nets.py:build", values, data, 1, 0, "val_accuracy", True, False, str(tmp_path))


def test_a_model_with_an_adapted_layer_is_kept_in_float32(job: TrialJob) -> None:
    inspect_model(job)
    net, _ = build(job)
    assert signature(net) is None and uses_bfloat16(net)
    net.set_weights([weight + 0.125 if weight.dtype == "float32" else weight for weight in net.get_weights()])
    kept = convert_to_float32(job, net)
    assert not uses_bfloat16(kept)
    assert all(np.array_equal(one, other) for one, other in zip(kept.get_weights(), net.get_weights(), strict=True))
    images = np.random.default_rng(1).integers(0, 256, (9, 8, 8, 1), "uint8")
    assert kept.predict(images, verbose=0) == pytest.approx(np.asarray(net.predict(images, verbose=0), "float32"), abs=0.05)


def test_predictions_are_float32_whatever_a_layer_gives(job: TrialJob) -> None:
    net, _ = build(TrialJob(**{**vars(job), "values": {"precision": "float32", "head": "bfloat16"}}))
    saved = serialize(net)
    Path("model.keras").write_bytes(saved)
    images = np.zeros((3, 8, 8, 1), "uint8")
    assert _predict(SavedModel(Path("model.keras"), hashlib.sha256(saved).hexdigest()), images).dtype == np.float32
