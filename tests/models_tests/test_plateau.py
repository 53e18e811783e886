"""The `plateau` schedule against Keras's ReduceLROnPlateau: the same rates, and the same numbers of a whole fit."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from fits import digits, keras_history

from tailor.models.factory import resolve
from tailor.models.training import program_cache
from tailor.models.training.fit import FitPlan, fit
from tailor.models.training.options import TrainOptions
from tailor.models.training.plateau import MIN_DELTA, find_rate

OPTIONS = TrainOptions(
    optimizer="sgd", learning_rate=0.5, schedule="plateau", plateau_factor=0.3, plateau_patience=1, plateau_min_rate=0.02
)


def model() -> keras.Model:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    return resolve("mlp")({"units": 24}, (8, 8, 1), 10)


def make_callback(options: TrainOptions, plan: FitPlan, net: keras.Model) -> keras.callbacks.Callback:
    callback = keras.callbacks.ReduceLROnPlateau(
        plan.monitor,
        options.plateau_factor,
        options.plateau_patience,
        mode="max" if plan.maximize else "min",
        min_delta=MIN_DELTA,
        min_lr=options.plateau_min_rate,
    )
    callback.set_model(net)
    callback.on_train_begin()
    return callback


@pytest.mark.parametrize(("monitor", "maximize"), [("val_accuracy", True), ("val_loss", False)])
@pytest.mark.parametrize("patience", [1, 2, 4])
def test_rates_fall_as_kerass_callback_lets_them_fall(monitor: str, maximize: bool, patience: int) -> None:
    options = dataclasses.replace(OPTIONS, plateau_patience=patience)
    plan = FitPlan(40, seed=1, monitor=monitor, maximize=maximize)
    net = model()
    net.compile(keras.optimizers.SGD(options.learning_rate), "sparse_categorical_crossentropy")
    callback = make_callback(options, plan, net)
    values = np.random.default_rng(0).normal(0.5, 0.1, 40)
    ours, theirs, history = [], [], []
    for epoch, value in enumerate(values):
        history.append({monitor: float(value)})
        callback.on_epoch_end(epoch, dict(history[-1]))
        ours.append(find_rate(history, plan, options))
        theirs.append(float(net.optimizer.learning_rate))
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert len(set(ours)) == 4 and min(ours) == pytest.approx(0.02)  # two falls by the factor, and one to the least rate


def test_a_fit_has_the_numbers_that_keras_has_with_its_callback() -> None:
    data, plan = digits(), FitPlan(6, seed=5)
    ours = fit(model(), data, OPTIONS, plan).history
    net = model()
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
    callback = make_callback(OPTIONS, plan, net)
    theirs = keras_history(net, data, optimizer, seed=5, epochs=6, after=callback.on_epoch_end)
    assert len({metrics["learning_rate"] for metrics in ours}) > 2
    for mine, keras_ in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(keras_["train_loss"], rel=2e-3)
        assert mine["val_accuracy"] == pytest.approx(keras_["val_accuracy"], abs=3e-3)


def test_other_values_of_a_plateau_share_the_trace() -> None:
    data = digits()
    program_cache._programs.clear()
    fresh = fit(model(), data, OPTIONS, FitPlan(4, seed=5)).history
    fit(model(), data, dataclasses.replace(OPTIONS, plateau_factor=0.9, plateau_patience=3), FitPlan(2, seed=5))
    assert len(program_cache._programs) == 1
    assert fit(model(), data, OPTIONS, FitPlan(4, seed=5)).history == fresh
