"""Compiled models whose optimizer or schedule Keras's `deserialize` does not know: a new one of Keras's, and custom classes."""

from __future__ import annotations

import keras
import pytest
from conftest import Shell
from fits import SHAPE, digits, keras_history, model
from searches import OWN

from tailor.models import compiled
from tailor.models.errors import ModelError
from tailor.models.training.fit import Data, FitHooks, FitPlan, fit
from tailor.models.training.options import TrainOptions


class Gentle(keras.optimizers.Adam):
    """An optimizer that is not registered."""

    def update_step(self, gradient, variable, learning_rate) -> None:
        super().update_step(gradient, variable, learning_rate * 0.5)


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that is not registered, and holds another."""

    def __init__(self, inner: keras.optimizers.schedules.LearningRateSchedule) -> None:
        self.inner = inner

    def __call__(self, step):
        return self.inner(step) * 0.5

    def get_config(self) -> dict[str, object]:
        return {"inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Halving:
        return cls(keras.saving.deserialize_keras_object(config["inner"]))


class Falling(Halving):
    """One without a rate inside."""

    def __init__(self, first: float) -> None:
        self.first = first

    def __call__(self, step):
        return self.first / (1.0 + 0.01 * keras.ops.cast(step, "float32"))

    def get_config(self) -> dict[str, object]:
        return {"first": self.first}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Falling:
        return cls(**config)


class Forgetful(Gentle):
    """Its config lacks what it is made with."""

    def __init__(self, calm: float, **options: object) -> None:
        super().__init__(**options)


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def adopt(optimizer: keras.optimizers.Optimizer) -> tuple[keras.Model, TrainOptions]:
    net = model()
    net.compile(optimizer, "sparse_categorical_crossentropy")
    return compiled.adopt("own", net, TrainOptions(), SHAPE)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Lamb(3e-3),
        lambda: Gentle(3e-3, weight_decay=0.01),
        lambda: keras.optimizers.Adam(Falling(3e-3)),
        lambda: keras.optimizers.Adam(Halving(Falling(3e-3))),
    ],
    ids=["lamb", "own", "own-schedule", "own-in-own-schedule"],
)
def test_it_trains_as_in_keras_fit_and_resumes(data: Data, optimizer) -> None:
    net, options = adopt(optimizer())
    saved: list[bytes] = []
    ours = fit(net, data, options, FitPlan(2, seed=5), FitHooks(save=saved.append, save_seconds=0.0)).history
    theirs = keras_history(model(), data, optimizer(), seed=5, epochs=2)
    for mine, keras_ in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(keras_["train_loss"], rel=2e-3)
        assert mine["val_loss"] == pytest.approx(keras_["val_loss"], rel=2e-3)
    net, options = adopt(optimizer())
    assert fit(net, data, options, FitPlan(2, seed=5), FitHooks(checkpoint=saved[0])).history == ours


def test_what_cannot_be_made_again_is_refused_with_what_to_do() -> None:
    class Local(keras.optimizers.Adam):
        pass

    with pytest.raises(ModelError, match=r"Forgetful .*register it with @keras\.saving\.register_keras_serializable\(\)"):
        adopt(Forgetful(0.5))
    with pytest.raises(ModelError, match="made in a function, perhaps of a trial's values; move it to the top of its file"):
        adopt(Local())


FACTORY = """
import keras

class Gentle(keras.optimizers.Adam):
    pass

class Falling(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, first):
        self.first = first

    def __call__(self, step):
        return self.first / (1.0 + 0.01 * keras.ops.cast(step, "float32"))

    def get_config(self):
        return {"first": self.first}

def build(hparams, input_shape, num_classes):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(Gentle(Falling(hparams["first"])), "sparse_categorical_crossentropy")
    return model
"""

STUDY = f"""{OWN}
[space]
first = [0.01, 0.02]
"""


def test_a_search_trains_with_the_custom_classes_of_a_file(tailor: Shell) -> None:
    (tailor.folder / "nets.py").write_text(FACTORY, encoding="utf-8")
    (tailor.folder / "own.toml").write_text(STUDY, encoding="utf-8")
    done = tailor("search", "own.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 trials (2 done)" in done.stdout
