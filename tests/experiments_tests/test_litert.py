"""The LiteRT form of a model, which answers small images: it agrees with the model, or it is not used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest

from tailor.experiments.errors import InputError, RunError
from tailor.experiments.export import convert as exporting
from tailor.experiments.export.formats import FORMATS
from tailor.experiments.serving import model as serving
from tailor.experiments.serving.registered import prepare_predictions
from tailor.experiments.trials.litert import LARGEST, Litert, agree, convert, trace
from tailor.experiments.trials.saved_model import SavedModel
from tailor.models import factory

SHAPE = (8, 8, 1)
RAW = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), "uint8")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return factory.resolve("cnn")({"filters": 8, "dropout": 0.5}, SHAPE, 10)


def test_a_litert_form_agrees_with_its_model(model: keras.Model) -> None:
    content = convert(model, trace(model, SHAPE, 1), SHAPE)
    assert content is not None
    assert np.abs(Litert(content)(RAW) - model.predict(RAW, verbose=0)).max() < LARGEST


def test_a_form_that_differs_is_not_used(model: keras.Model) -> None:
    other = keras.models.clone_model(model)  # with other weights
    assert convert(model, trace(other, SHAPE, 1), SHAPE) is None
    assert agree(lambda image: image.mean((1, 2)), lambda image: image.mean((1, 2)) + LARGEST / 2, SHAPE)
    for wrong in (2 * LARGEST, float("nan")):
        assert not agree(lambda image: image.mean((1, 2)), lambda image, by=wrong: image.mean((1, 2)) + by, SHAPE)


def test_what_litert_cannot_convert_is_answered_by_the_graph() -> None:
    images = keras.Input(SHAPE, dtype="uint8")
    sorted_ = keras.ops.sort(keras.ops.reshape(keras.ops.cast(images, "float64"), (-1, 64)))  # LiteRT has no such operation
    model = keras.Model(images, keras.ops.softmax(sorted_))
    predict, quick = prepare_predictions(model, SHAPE)
    assert quick and convert(model, trace(model, SHAPE, 1), SHAPE) is None
    assert np.allclose(predict(RAW[:1]), model.predict(RAW[:1], verbose=0), atol=1e-6)


def test_what_litert_cannot_convert_says_what_else_to_do(tmp_path: Path) -> None:
    layers = [keras.Input((8, 8, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255), keras.layers.Reshape((8, 8))]
    path = tmp_path / "model.keras"
    keras.Sequential([*layers, keras.layers.GRU(2), keras.layers.Dense(3, activation="softmax")]).save(path)
    saved = SavedModel(path, hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(RunError, match=r"^Keras cannot export this model to litert \(.*\); do without\.$"):
        exporting.write(saved, FORMATS["litert"], tmp_path / "model.tflite", RAW, "do without")
    path.unlink()
    with pytest.raises(InputError, match=r"model\.keras: the model's file is missing"):
        saved.verify()


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_quick_is_decided_by_time(model: keras.Model, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "QUICK", seconds)
    predict, quick = prepare_predictions(model, SHAPE)
    assert quick == (seconds > 0)
    wanted = model.predict(RAW, verbose=0)
    assert np.allclose(predict(RAW), wanted, atol=1e-5)
    assert np.allclose(np.concatenate([predict(image[None]) for image in RAW]), wanted, atol=1e-5)
