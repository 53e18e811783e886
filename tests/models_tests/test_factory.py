"""Factories: the built-in ones, a user's own by file and by module, and what is said of wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tailor.models.errors import ModelError
from tailor.models.factory import BUILT_IN, resolve
from tailor.models.keras_tuner import hypermodel
from tailor.models.training.clone import walk_layers

OWN = """
import keras

@keras.saving.register_keras_serializable(package="mine")
class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x

def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = Doubling()(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))

def undeclared(hparams, input_shape, num_classes):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")])

def flat(hparams, input_shape, num_classes):
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(num_classes, activation="softmax")])

def headless(hparams, input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(3)])

def nothing(hparams, input_shape, num_classes):
    return None

VALUE = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return "nets/mine.py"


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 20, 3)])
@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("mlp", {}),
        ("mlp", {"depth": 3, "units_2": 7, "batch_norm": True, "dropout": 0.3}),
        ("cnn", {}),
        ("cnn", {"blocks": 2, "convolutions": 2, "batch_norm": True, "head": "average", "dense_units": 0, "dropout": 0.2}),
        ("resnet", {}),
        ("resnet", {"depth": 2, "width": 8, "stages": 2, "dropout": 0.2}),
        ("separable", {}),
        ("separable", {"depth": 1, "width": 8, "kernel": 5, "dropout": 0.2}),
    ],
)
def test_built_in_models_take_raw_images_and_give_probabilities(name: str, hparams: dict, shape: tuple) -> None:
    model = resolve(name)(hparams, shape, 7)
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype="uint8")
    out = model.predict(images, verbose=0)
    assert out.shape == (3, 7)
    assert out.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_a_layers_own_width_wins_over_the_common_one() -> None:
    model = resolve("mlp")({"depth": 3, "units": 5, "units_2": 7}, (4, 4, 1), 3)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [5, 7, 5, 3]


def test_the_networks_that_the_shipped_studies_describe() -> None:
    assert resolve("mlp")({"depth": 3, "units": 4}, (28, 28, 1), 10).count_params() == 785 * 4 + 2 * 5 * 4 + 5 * 10
    cnn = {"filters_1": 32, "filters_2": 64, "filters_3": 64, "padding": "valid", "dense_units": 256}
    convolutions = 32 * 10 + 64 * (9 * 32 + 1) + 64 * (9 * 64 + 1)
    assert resolve("cnn")(cnn, (28, 28, 1), 10).count_params() == convolutions + 256 * (3 * 3 * 64 + 1) + 10 * 257


def test_a_resnet_of_three_blocks_in_three_stages_is_resnet_20() -> None:
    model = resolve("resnet")({"depth": 3}, (32, 32, 3), 10)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
    assert len(kernels) == 20 + 2  # two shortcuts change the width
    assert 270_000 < model.count_params() < 280_000  # He et al. count 0.27 million
    assert [layer.output.shape[1:] for layer in model.layers if isinstance(layer, keras.layers.Add)][::3] == [
        (32, 32, 16), (16, 16, 32), (8, 8, 64),
    ]  # fmt: skip


def test_separable_convolutions_need_a_fraction_of_the_weights() -> None:
    small = resolve("separable")({"width": 16, "depth": 1, "stages": 2}, (28, 28, 1), 10)
    convolutions = 9 * 16 + (9 * 16 + 16 * 16) + (9 * 16 + 16 * 32)
    assert small.count_params() == convolutions + 4 * (16 + 2 * 16 + 16 + 32) + 33 * 10


def test_a_users_file_is_a_factory(own: str) -> None:
    factory = resolve(f"{own}:build")
    assert factory({}, (8, 8, 1), 4).output_shape == (None, 4)
    assert factory.source == Path(own).resolve()


def test_a_users_module_is_a_factory(own: str) -> None:
    assert resolve("nets.mine:build")({}, (8, 8, 1), 4).output_shape == (None, 4)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cnm", "expected one of mlp, cnn, resnet, separable, transfer"),
        ("nets/none.py:build", "there is no file 'nets/none.py'"),
        ("nets/mine.py:bild", "has no factory 'bild'; it has: Doubling, build, undeclared, flat, headless, nothing"),
        ("nets/mine.py:VALUE", "has no factory 'VALUE'"),
        ("nonets.mine:build", "there is no module 'nonets.mine'"),
    ],
)
def test_a_wrong_name_says_what_there_is(own: str, name: str, says: str) -> None:
    with pytest.raises(ModelError) as error:
        resolve(name)
    assert says in str(error.value)


def test_a_function_of_keras_tuners_says_which_key_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tuned.py").write_text("import keras_tuner\ndef build(hp): ...\nclass Hyper(keras_tuner.HyperModel): ...\n")
    for name in ("build", "Hyper"):
        with pytest.raises(ModelError, match=r'of \(hparams, input_shape, num_classes\).*add api = "keras-tuner"'):
            resolve(f"{tmp_path}/tuned.py:{name}")


def test_a_wrong_model_is_refused(own: str) -> None:
    with pytest.raises(ModelError, match=r"expected an output of shape \(n, 4\), one probability a class, got \(None, 3\)"):
        resolve(f"{own}:headless")({}, (8, 8, 1), 4)
    with pytest.raises(ModelError, match=r"expected the factory to return a keras.Model, got NoneType"):
        resolve(f"{own}:nothing")({}, (8, 8, 1), 4)


def test_a_models_input_is_the_images(own: str) -> None:
    assert resolve(f"{own}:undeclared")({}, (8, 8, 1), 4).input_shape == (None, 8, 8, 1)
    with pytest.raises(ModelError, match=r"expected one input of images \(8, 8, 1\), got \(64,\); begin it with keras.Input"):
        resolve(f"{own}:flat")({}, (8, 8, 1), 4)


def test_an_import_error_inside_a_users_file_is_not_masked(own: str) -> None:
    Path("nets/broken.py").write_text("import no_such_package_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package_anywhere"):
        resolve("nets/broken.py:build")


WANDERS = """
import os
import keras

os.chdir("/")

def build(hparams, input_shape, num_classes):
    os.chdir("/")
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes, "softmax")])

def hyper(hp):
    os.chdir("/")
    return build({}, (8, 8, 1), 4)
"""


@pytest.mark.parametrize("place", ["nets/wanders.py", "wanders"])
def test_a_factory_that_changes_the_current_folder_changes_no_other_path(
    own: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path.cwd()
    Path("nets/wanders.py").write_text(WANDERS)
    monkeypatch.syspath_prepend(here / "nets")
    monkeypatch.delitem(sys.modules, "wanders", raising=False)
    assert resolve(f"{place}:build")({}, (8, 8, 1), 4).output_shape == (None, 4)
    hypermodel.find_hyperparameters(f"{place}:hyper", (8, 8, 1), 4)
    assert Path.cwd() == here and resolve(f"{place}:build").source is not None


def test_a_built_in_model_takes_no_name_that_it_does_not_know() -> None:
    with pytest.raises(
        ModelError, match=r"model 'mlp': no option, nor a hyperparameter, has the name 'unts'. Did you mean 'units'"
    ):
        resolve("mlp")({"unts": 3}, (8, 8, 1), 10)


@pytest.mark.parametrize("name", BUILT_IN)
def test_running_averages_settle_within_a_small_epoch(name: str) -> None:
    def momenta(**hparams: float) -> set[float]:
        switch = {"batch_norm": True} if "batch_norm" in (resolve(name).defaults or {}) else {}
        model = resolve(name)({**switch, **hparams}, (8, 8, 1), 10)
        return {layer.momentum for layer in walk_layers(model) if isinstance(layer, keras.layers.BatchNormalization)}

    assert momenta() == {0.9}
    assert momenta(batch_norm_momentum=0.99) == {0.99}
