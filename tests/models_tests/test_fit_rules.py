"""The rules around the training loop: when a fit ends, which weights it keeps, its schedules, and a custom train_step."""

from __future__ import annotations

import gc
from collections import OrderedDict

import keras
import numpy as np
import pytest
import tensorflow as tf
from fits import digits, model

from tailor.models.errors import ModelError
from tailor.models.training import program_cache, trainer
from tailor.models.training.fit import Data, FitHooks, FitPlan, fit
from tailor.models.training.options import EarlyStopping, TrainOptions
from tailor.models.training.trainer import NonFiniteLoss


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def test_the_model_ends_with_the_weights_of_its_best_epoch(data: Data) -> None:
    net = model()
    fitted = fit(net, data, TrainOptions(learning_rate=0.3), FitPlan(6, seed=1))
    values = [metrics["val_accuracy"] for metrics in fitted.history]
    assert fitted.best_epoch == 1 + int(np.argmax(values))
    assert fitted.best_epoch < 6  # so that the last epoch's weights would be others
    guesses = net.predict(data.val_images, verbose=0).argmax(axis=1)
    assert (guesses == data.val_labels.numpy()).mean() == pytest.approx(max(values), abs=1e-6)
    assert fitted.validation.accuracy == pytest.approx(max(values), abs=1e-6)


def test_early_stopping_follows_the_objective(data: Data) -> None:
    options = TrainOptions(learning_rate=0.3, early_stopping=EarlyStopping(patience=2))
    history = fit(model(), data, options, FitPlan(60, seed=1, monitor="val_loss", maximize=False)).history
    losses = [metrics["val_loss"] for metrics in history]
    assert len(history) < 60
    assert len(history) == 1 + int(np.argmin(losses)) + 2


def test_a_report_that_asks_to_stop_ends_the_fit(data: Data) -> None:
    fitted = fit(model(), data, TrainOptions(), FitPlan(5, seed=1), FitHooks(report=lambda epoch, metrics: epoch == 2))
    assert fitted.pruned and len(fitted.history) == 2


def test_a_loss_that_is_not_finite_names_its_epoch(data: Data) -> None:
    net = model(depth=4, activation="linear")
    with pytest.raises(NonFiniteLoss, match="epoch 1"):
        fit(net, data, TrainOptions(optimizer="sgd", learning_rate=1e3), FitPlan(3, seed=1))


def test_how_an_epoch_is_cut_into_units_does_not_change_it(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(model(dropout=0.2), data, TrainOptions(), FitPlan(2, seed=1)).history
    stops = []
    monkeypatch.setattr(trainer, "_next_unit", lambda steps, seconds: 3)
    monkeypatch.setattr(trainer, "FIRST_UNIT", 3)
    cut = fit(model(dropout=0.2), data, TrainOptions(), FitPlan(2, seed=1), FitHooks(between=lambda: stops.append(1))).history
    assert len(stops) == 2 * 11  # 32 steps an epoch, three at a time
    for one, other in zip(whole, cut, strict=True):
        assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weights_of_another_type_train_as_keras_trains_them(data: Data, optimizer: str) -> None:
    inputs = keras.Input((8, 8, 1), dtype="float64")
    x = keras.layers.Flatten(dtype="float64")(keras.layers.Rescaling(1 / 16, dtype="float64")(inputs))
    net = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", dtype="float64")(x))
    fitted = fit(net, data, TrainOptions(optimizer=optimizer, learning_rate=0.01), FitPlan(3, seed=1))
    assert net.trainable_weights[0].dtype == "float64"
    assert fitted.history[-1]["val_loss"] < fitted.history[0]["val_loss"]


def find_graphs() -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one).__name__ == "FuncGraph"]


@pytest.mark.slow
def test_a_program_that_is_no_longer_kept_is_freed(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_cache, "KEPT_PROGRAMS", 2)
    monkeypatch.setattr(program_cache, "_programs", OrderedDict())
    earlier = find_graphs()  # of other tests: they stay while this one counts
    graphs = []
    for units in range(3, 9):
        fit(model(units=units), data, TrainOptions(batch_size=200), FitPlan(1, seed=1))
        graphs.append(len(find_graphs()) - len(earlier))
    assert graphs[3] == graphs[4] == graphs[5]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "exponential", "step"])
def test_schedules_go_where_they_say(data: Data, schedule: str) -> None:
    options = TrainOptions(learning_rate=0.01, schedule=schedule)
    rates = [m["learning_rate"] for m in fit(model(), data, options, FitPlan(6, seed=1)).history]
    ends = {"constant": (0.01, 0.01), "cosine": (0.01, 0.000670), "one_cycle": (0.0004, 0.001336)}
    ends |= {"exponential": (0.01, 0.000215), "step": (0.01, 0.0001)}
    assert (rates[0], rates[-1]) == pytest.approx(ends[schedule], rel=0.02)
    assert max(rates) <= 0.01 * (1 + 1e-6)


def test_the_rate_falls_along_a_cosine_where_nobody_says_how(data: Data) -> None:
    both = TrainOptions(), TrainOptions(schedule="cosine")
    silent, said = (fit(model(), data, options, FitPlan(2, seed=1)) for options in both)
    assert silent.history == said.history


def test_a_warm_up_begins_low(data: Data) -> None:
    options = TrainOptions(learning_rate=0.01, warmup_epochs=2, schedule="constant")
    rates = [m["learning_rate"] for m in fit(model(), data, options, FitPlan(3, seed=1)).history]
    assert rates == pytest.approx([0.01 / 64, 0.01 * 33 / 64, 0.01], rel=1e-3)


@keras.saving.register_keras_serializable(package="tests")
class Doubled(keras.Model):
    """A functional model with a train_step of its own: the loss counts twice."""

    def train_step(self, batch):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = 2.0 * self.compute_loss(images, labels, outputs, weights)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(labels, outputs)
        return {metric.name: metric.result() for metric in self.metrics}


def test_a_train_step_of_ones_own_is_called(data: Data) -> None:
    base = model()
    own = Doubled(base.inputs, base.outputs)
    fitted = fit(own, data, TrainOptions(optimizer="sgd", learning_rate=0.05), FitPlan(2, seed=5))
    plain = fit(model(), data, TrainOptions(optimizer="sgd", learning_rate=0.1), FitPlan(2, seed=5))
    assert [m["train_loss"] for m in fitted.history] == pytest.approx([2 * m["train_loss"] for m in plain.history], rel=1e-3)
    assert [m["val_loss"] for m in fitted.history] == pytest.approx([m["val_loss"] for m in plain.history], rel=1e-3)


@keras.saving.register_keras_serializable(package="tests")
class Silent(Doubled):
    """Returns its loss alone."""

    def train_step(self, batch):
        return {"loss": super().train_step(batch)["loss"]}


def test_a_train_step_without_accuracy_cannot_be_steered_by_it(data: Data) -> None:
    base = model()
    plan = FitPlan(1, seed=5, monitor="train_accuracy", maximize=True)
    with pytest.raises(ModelError, match="train_accuracy: the model's custom step does not return it"):
        fit(Silent(base.inputs, base.outputs), data, TrainOptions(), plan)
    assert fit(Silent(base.inputs, base.outputs), data, TrainOptions(), FitPlan(1, seed=5)).best["val_accuracy"] > 0


def test_a_fit_may_end_after_an_epoch_and_keep_its_weights(data: Data) -> None:
    whole = fit(model(), data, TrainOptions(), FitPlan(5, seed=3))
    ended, options = model(), TrainOptions(early_stopping=EarlyStopping(patience=1))
    fitted = fit(ended, data, options, FitPlan(5, seed=3, maximize=False, last_epoch=3))  # by its monitor, the first is best
    assert [dict(one) for one in fitted.history] == [dict(one) for one in whole.history[:3]]
    assert fitted.best_epoch == 3 and fitted.best == fitted.history[2]
    guesses = ended.predict(data.val_images, verbose=0).argmax(axis=1)
    assert (guesses == data.val_labels.numpy()).mean() == pytest.approx(fitted.history[2]["val_accuracy"], abs=2e-3)
