"""Transfer: a backbone of keras.applications with random weights and with those of a file, frozen and then fine-tuned."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from fits import digits

from tailor.models.errors import ModelError
from tailor.models.factory import resolve
from tailor.models.training import program_cache, trainer
from tailor.models.training.fit import Data, FitHooks, FitPlan, fit
from tailor.models.training.freezing import Freezer
from tailor.models.training.options import TrainOptions

SHAPE = (8, 8, 1)
SMALL = {"backbone": "MobileNet", "image_size": 32}
FROZEN = TrainOptions(frozen_epochs=2, learning_rate=0.02, fine_tune_factor=0.05)


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def model(seed: int = 1, **hparams: object) -> keras.Model:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    return resolve("mlp")({"units": 24, "depth": 3, "batch_norm": True, "dropout": 0.2, **hparams}, SHAPE, 10)


def find_backbone(net: keras.Model) -> keras.Model:
    return next(layer for layer in net.layers if isinstance(layer, keras.Model))


@pytest.mark.parametrize(
    ("backbone", "shape"),
    [
        ("MobileNet", (28, 28, 1)),
        ("MobileNet", (40, 30, 3)),
        *(pytest.param(other, (40, 30, 3), marks=pytest.mark.slow) for other in ("EfficientNetV2B0", "DenseNet121", "ResNet50")),
    ],  # one of each way to scale
)
def test_images_are_resized_coloured_and_scaled_inside(tmp_path: Path, backbone: str, shape: tuple[int, int, int]) -> None:
    net = resolve("transfer")({"backbone": backbone, "image_size": 32}, shape, 7)
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype="uint8")
    out = net.predict(images, verbose=0)
    assert out.shape == (3, 7) and out.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    make = getattr(keras.applications, backbone)
    colours = np.repeat(images, 3, axis=-1) if shape[2] == 1 else images
    scaled = inspect.getmodule(make).preprocess_input(keras.layers.Resizing(32, 32)(colours.astype("float32")))
    head = keras.Sequential(net.layers[net.layers.index(find_backbone(net)) :])
    assert head.predict(scaled, verbose=0) == pytest.approx(out, abs=1e-5)
    net.save(tmp_path / "net.keras")
    assert keras.models.load_model(tmp_path / "net.keras", safe_mode=True).predict(images, verbose=0) == pytest.approx(out)


@pytest.mark.slow
def test_weights_of_a_file_are_the_backbones_and_stay_while_it_is_frozen(data: Data, tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    trained = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    for layer in trained.layers:
        layer.momentum = 0.0
    trained(np.random.default_rng(0).normal(size=(64, 32, 32, 3)), training=True)  # gives batch normalisation its averages
    trained.save_weights(tmp_path / "own.weights.h5")
    net = resolve("transfer")({**SMALL, "weights": str(tmp_path / "own.weights.h5")}, SHAPE, 10)
    few = dataclasses.replace(
        data, train_images=data.train_images[:64], train_labels=data.train_labels[:64],
        val_images=data.val_images[:32], val_labels=data.val_labels[:32],
    )  # fmt: skip
    moved = []

    def report(epoch: int, metrics: object) -> bool:
        weights = find_backbone(list(program_cache._programs.values())[-1].model).weights
        pairs = zip(trained.weights, weights, strict=True)
        moved.append({weight.path.split("/")[-1] for kept, weight in pairs if np.any(kept.numpy() != weight.numpy())})
        return False

    fit(net, few, dataclasses.replace(FROZEN, frozen_epochs=1), FitPlan(2, seed=1), FitHooks(report))
    assert moved == [set(), {"kernel"}]  # batch normalisation stays


@pytest.mark.parametrize(
    ("hparams", "says"),
    [
        (
            {"backbone": "MobileNetV4"},
            "training.backbone: expected a network of keras.applications, got 'MobileNetV4'. Did you mean",
        ),
        ({"weights": "nowhere.h5"}, "training.weights: expected 'none', 'imagenet' or a file of weights, got 'nowhere.h5'"),
        ({"weights": __file__}, "training.weights: expected weights that MobileNet without its top saved by save_weights"),
        ({"backbone": "InceptionV3"}, "Keras cannot make InceptionV3 for images of (32, 32, 3)"),
    ],
)
def test_what_cannot_be_transferred_says_why(hparams: dict, says: str) -> None:
    with pytest.raises(ModelError) as error:
        resolve("transfer")({**SMALL, **hparams}, SHAPE, 10)
    assert says in str(error.value)
    with pytest.raises(ModelError, match="expected images of 1 or 3 channels, got 4"):
        resolve("transfer")(SMALL, (8, 8, 4), 10)


@pytest.mark.parametrize(("share", "frozen"), [(0.0, 0), (0.5, 3), (1.0, 6)])
def test_a_share_of_layers_is_frozen_from_the_images_on(share: float, frozen: int) -> None:
    net = model()
    layers = [layer for layer in net.layers if layer.weights]
    layers[1].trainable = False  # by its factory
    freezer = Freezer(net)
    freezer.freeze(share)
    assert [layer.trainable for layer in layers] == [i >= frozen and i != 1 for i in range(7)]
    freezer.release()
    assert [layer.trainable for layer in layers] == [i != 1 for i in range(7)]


def test_frozen_layers_train_after_their_epochs_at_a_lower_rate(data: Data) -> None:
    kernels: list[list[np.ndarray]] = []
    net = model()
    options = dataclasses.replace(FROZEN, schedule="constant", fine_tune_share=0.5)
    program_cache._programs.clear()

    def report(epoch: int, metrics: object) -> bool:
        kernels.append([w.numpy() for w in list(program_cache._programs.values())[-1].model.weights if w.path.endswith("kernel")])
        return False

    begins = [weight.numpy() for weight in net.weights if weight.path.endswith("kernel")]
    history = fit(net, data, options, FitPlan(3, seed=5), FitHooks(report)).history
    assert [metrics["learning_rate"] for metrics in history] == pytest.approx([0.02, 0.02, 0.001])
    changed = [[bool(np.any(a != b)) for a, b in zip(begins, epoch, strict=True)] for epoch in kernels]
    assert changed == [[False] * 3 + [True]] * 2 + [[False, False, True, True]]
    assert all(layer.trainable for layer in net.layers)
    fit(model(seed=2), data, dataclasses.replace(options, frozen_epochs=1, fine_tune_factor=0.5), FitPlan(2, seed=2))
    assert len(program_cache._programs) == 2  # one of each phase, for both fits


def test_two_phases_are_two_fits_of_keras(data: Data) -> None:
    ours = fit(model(dropout=0.0), data, dataclasses.replace(FROZEN, schedule="constant"), FitPlan(3, seed=5)).history
    net = model(dropout=0.0)
    images, labels = data.train_images.numpy(), data.train_labels.numpy()
    losses = []
    for epoch in (1, 2, 3):
        if epoch != 2:  # as in Keras's guide: freeze, compile and fit; then unfreeze, compile at a lower rate and fit
            for layer in net.layers[:-1]:
                layer.trainable = epoch == 3
            net.compile(keras.optimizers.Adam(0.02 if epoch == 1 else 0.001), "sparse_categorical_crossentropy")
        order = np.random.default_rng([5, epoch]).permutation(len(labels))
        losses += net.fit(images[order], labels[order], batch_size=32, shuffle=False, verbose=0).history["loss"]
    assert [metrics["train_loss"] for metrics in ours] == pytest.approx(losses, rel=2e-3)


class Killed(Exception):
    """Stands for whatever ends a trial from outside."""


@pytest.mark.parametrize("step", [40, 64, 80])  # in the frozen phase, at its last step, and in the other
def test_a_fit_resumes_in_the_phase_that_it_was_in(data: Data, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(trainer, "FIRST_UNIT", 8)
    monkeypatch.setattr(trainer, "UNIT_SECONDS", 0.0)  # a step a unit
    plan, calls, saved = FitPlan(3, seed=6), [], []
    whole = fit(model(), data, FROZEN, plan)

    def between() -> None:
        calls.append(1)
        if len(calls) == step - 14:  # the first two units have eight steps
            raise Killed

    with pytest.raises(Killed):
        fit(model(), data, FROZEN, plan, FitHooks(between=between, save=saved.append))
    told: list[int] = []
    resumed = fit(model(seed=9), data, FROZEN, plan, FitHooks(checkpoint=saved[-1], restarted=lambda: told.append(1)))
    assert resumed.history == whole.history and not told
