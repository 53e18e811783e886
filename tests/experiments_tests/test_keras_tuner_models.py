"""Whole searches over Keras Tuner models as they are: both engines, going on, and what is refused before anything is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Shell
from searches import runs

NET = """
import keras
import keras_tuner


def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
    for i in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units/{i}", 8, 32, step=8), activation="relu"))
    model.add(keras.layers.Dense(10))
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.5, 0.9)
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    optimizer = keras.optimizers.Adam(rate) if kind == "adam" else keras.optimizers.SGD(rate, momentum=momentum)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


class Fits(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)
"""
STUDY = """
[study]
name = "kt"
dataset = "digits"
model = "mine.py:build"
api = "keras-tuner"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "random"
pruner = "none"
trials = 3
max_epochs = 3

[space]
batch_size = [32, 64]
"""
DECLARED = {"layers", "units/0", "units/1", "optimizer", "learning_rate"}


@pytest.fixture
def study(tailor: Shell) -> Path:
    (tailor.folder / "mine.py").write_text(NET)
    (tailor.folder / "kt.toml").write_text(STUDY)
    return tailor.folder / "kt.toml"


@pytest.mark.parametrize("engine", ["optuna", "keras-tuner"])
def test_a_search_over_what_hp_declares_trains_by_the_compiled_optimizer(tailor: Shell, study: Path, engine: str) -> None:
    done = tailor("search", "kt.toml", "--workers", "1", "--engine", engine, "--sampler", "random")
    assert done.returncode == 0, done.stderr
    (parent,), trials = runs(tailor.folder, "kt")
    assert [run.data.tags["tailor.status"] for run in trials] == ["complete"] * 3
    for run in trials:
        params = run.data.params
        assert set(params) - {"momentum"} == DECLARED | {"batch_size"}
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        assert run.data.metrics["learning_rate"] == pytest.approx(float(params["learning_rate"]), rel=1e-5)
        assert run.data.metrics["train_loss"] < 3.0
    recorded = json.loads((Path(parent.info.artifact_uri.removeprefix("file://")) / "study.json").read_text())
    assert set(recorded["found"]["declared"]) == DECLARED | {"momentum"}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["optuna", "keras-tuner"])
def test_a_search_goes_on_while_the_model_declares_what_it_did(tailor: Shell, study: Path, engine: str) -> None:
    done = tailor("search", "kt.toml", "--workers", "1", "--engine", engine, "--sampler", "random")
    assert done.returncode == 0, done.stderr
    more = tailor("search", "kt.toml", "--workers", "1", "--engine", engine, "--sampler", "random", "--trials", "4")
    assert more.returncode == 0, more.stderr
    assert len(runs(tailor.folder, "kt")[1]) == 4
    (tailor.folder / "mine.py").write_text(NET.replace("8, 32, step=8", "8, 40, step=8"))
    other = tailor("search", "kt.toml", "--engine", engine, "--sampler", "random", "--trials", "5")
    assert other.returncode == 2
    assert "units/0: 8–32" in other.stderr and "→ 8–40" in other.stderr


def test_a_fit_of_ones_own_and_settings_of_the_compiled_are_refused_before_anything_is_made(tailor: Shell, study: Path) -> None:
    for arguments, says in (
        (("search", "--set", "study.model=mine.py:Fits"), "overrides fit, which Tailor never calls"),
        (("check", "--set", "study.model=mine.py:Fits"), "overrides fit, which Tailor never calls"),
        (("check", "--set", "training.learning_rate=0.1"), "training.learning_rate: the model is compiled with its own"),
        (("check", "--set", "training.units=8"), "training (no option; the model declares its hyperparameters): no such"),
        (("check", "--set", "training.layers=8"), "no such name 'layers'"),
        (("check", "--set", "study.model=mlp"), "study.model: expected 'my_pkg.my_module:build'"),
    ):
        done = tailor(arguments[0], "kt.toml", *arguments[1:])
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert says in done.stderr
    assert not (tailor.folder / "mlruns").exists()


def test_check_measures_the_ends_of_what_is_declared(tailor: Shell, study: Path) -> None:
    done = tailor("check", "kt.toml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["smallest"]["parameters"], found["largest"]["parameters"]) == (
        65 * 8 + 9 * 10,
        65 * 32 + 33 * 32 + 33 * 10,
    )
    assert set(found["study"]["space"]) == DECLARED | {"momentum", "batch_size"}


def test_a_range_test_says_where_a_compiled_models_rate_is_set(tailor: Shell, study: Path) -> None:
    done = tailor("lr-range", study.name, "--steps", "20")
    assert done.returncode == 0 and "The model is compiled with its own optimizer: set the rate, " in done.stdout
    assert "For learning_rate, in [space]" not in done.stdout
