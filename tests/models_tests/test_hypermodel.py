"""Keras Tuner models as they are: what they declare, the model that they build, and training by what it was compiled with."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from fits import digits, keras_history

from tailor.models import compiled
from tailor.models.errors import ModelError
from tailor.models.keras_tuner import hypermodel
from tailor.models.training import program_cache
from tailor.models.training.fit import Data, FitPlan, fit
from tailor.models.training.options import TrainOptions

SHAPE = (8, 8, 1)
OWN = """
import keras
import keras_tuner
from keras import layers

def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
    for i in range(hp.Int("layers", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{i}", 8, 64, step=8)))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(hp.Float("rate", 0.0, 0.5)))
    kind = hp.Choice("head", ["plain", "wide", "narrow"])
    with hp.conditional_scope("head", ["wide", "narrow"]):
        if kind != "plain":
            model.add(layers.Dense(hp.Choice("head units", [100, 200])))
    if kind == "narrow" and hp.get("dropout"):
        hp.Fixed("secret", 1)
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")), "sparse_categorical_crossentropy")
    return model

def frozen(hp):
    most = hp.Int("most", 10, 100)
    hp.Int("units", 1, most)
    return Sized(10, (8, 8, 1)).build(hp)

class Sized(keras_tuner.HyperModel):
    def __init__(self, classes, input_shape):
        super().__init__()
        self.classes, self.shape = classes, input_shape

    def build(self, hp):
        model = keras.Sequential([keras.Input(self.shape), layers.Flatten(), layers.Dense(self.classes, activation="softmax")])
        model.compile(hp.Choice("optimizer", ["sgd", "adam"]), "sparse_categorical_crossentropy")
        return model

class Fits(Sized):
    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [32, 64]), **kwargs)

def nothing(hp):
    build(hp)

made = Sized(10, (8, 8, 1))
VALUE = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return "mine.py"


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def test_what_stands_behind_an_if_and_in_a_loop_is_found_too(own: str) -> None:
    found = hypermodel.find_hyperparameters(f"{own}:build", SHAPE, 10)
    names = {one["config"]["name"]: one["config"]["conditions"] for one in found}
    assert set(names) == {
        "layers", "units_0", "units_1", "units_2", "dropout", "rate", "head", "head units", "learning_rate", "secret",
    }  # fmt: skip
    assert names["head units"][0]["config"] == {"name": "head", "values": ["wide", "narrow"]}
    assert found == hypermodel.find_hyperparameters(f"{own}:build", SHAPE, 10)


def test_a_hypermodel_is_taken_as_a_class_and_as_an_instance(own: str) -> None:
    for name in ("Sized", "made"):
        assert [one["config"]["name"] for one in hypermodel.find_hyperparameters(f"{own}:{name}", SHAPE, 10)] == ["optimizer"]
        model, options = hypermodel.build(f"{own}:{name}", {"optimizer": "adam"}, TrainOptions(batch_size=7), (SHAPE, 10))
        assert model.output_shape == (None, 10) and not model.compiled
        assert options.batch_size == 7 and '"class_name": "Adam"' in options.optimizer


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Fits", "overrides fit, which Tailor never calls: it trains by its own loop. Remove fit"),
        ("VALUE", "expected a build(hp) or a HyperModel in 'mine.py:VALUE', got int"),
        ("bild", "has no factory 'bild'"),
    ],
)
def test_what_is_no_model_of_keras_tuners_is_refused(own: str, name: str, says: str) -> None:
    with pytest.raises(ModelError) as error:
        hypermodel.find_hyperparameters(f"{own}:{name}", SHAPE, 10)
    assert says in str(error.value)


def test_a_declaration_that_differs_from_call_to_call_is_reported_twice(own: str) -> None:
    found = [one["config"] for one in hypermodel.find_hyperparameters(f"{own}:frozen", SHAPE, 10)]
    assert [one["max_value"] for one in found if one["name"] == "units"] == [10, 100]


def test_a_build_without_a_return_is_told_so(own: str) -> None:
    values = {"layers": 1, "units_0": 8, "dropout": False, "head": "plain", "learning_rate": 1e-3}
    with pytest.raises(ModelError, match=r"to return a keras\.Model, got NoneType; return the model that it builds"):
        hypermodel.build(f"{own}:nothing", values, TrainOptions(), (SHAPE, 10))


def test_a_hyperparameter_that_was_never_found_fails_the_trial(own: str) -> None:
    with pytest.raises(ModelError, match="hp 'rate' was not found when the study began"):
        values = {"layers": 1, "units_0": 8, "dropout": True, "head": "plain", "learning_rate": 1e-3}
        hypermodel.build(f"{own}:build", values, TrainOptions(), (SHAPE, 10))


def network(units: int = 24, **ending: object) -> keras.Model:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(units, activation="relu")]
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(10, **{"activation": "softmax", **ending})])


def decaying() -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.PiecewiseConstantDecay([40, 70], [0.01, 0.003, 0.001])


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(3e-3, beta_1=0.8, epsilon=1e-4),
        lambda: keras.optimizers.Adam(decaying()),
        lambda: keras.optimizers.Adam(3e-3, amsgrad=True),
        lambda: keras.optimizers.AdamW(3e-3, weight_decay=0.05, clipvalue=0.01),
        lambda: keras.optimizers.SGD(0.1, momentum=0.8, nesterov=True, clipnorm=0.5),
        lambda: keras.optimizers.SGD(decaying(), global_clipnorm=0.3),
        lambda: keras.optimizers.Adamax(3e-3, loss_scale_factor=8.0),
        lambda: keras.optimizers.RMSprop(1e-3, rho=0.8, centered=True),
        lambda: keras.optimizers.ScheduleFreeAdamW(3e-3, warmup_steps=40),
    ],
    ids=["adam", "scheduled", "amsgrad", "adamw", "sgd", "scheduled-sgd", "adamax", "rmsprop", "schedule-free"],
)
def test_the_compiled_optimizer_trains_as_in_keras_fit(data: Data, optimizer) -> None:
    net = network()
    net.compile(optimizer(), keras.losses.SparseCategoricalCrossentropy())
    ours = fit(*compiled_fit(net, data), FitPlan(3, seed=5)).history
    theirs = keras_history(network(), data, optimizer(), seed=5, epochs=3)
    for mine, keras_ in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(keras_["train_loss"], rel=2e-3)
        assert mine["val_loss"] == pytest.approx(keras_["val_loss"], rel=2e-3)


def compiled_fit(net: keras.Model, data: Data) -> tuple[keras.Model, Data, TrainOptions]:
    model, options = compiled.adopt("own", net, TrainOptions(), SHAPE)
    return model, data, options


def test_the_rate_of_a_schedule_is_recorded_and_goes_on_where_earlier_epochs_ended(data: Data) -> None:
    net = network()
    net.compile(keras.optimizers.Adam(decaying()), "sparse_categorical_crossentropy")
    history = fit(*compiled_fit(net, data), FitPlan(4, seed=5, epochs_done=1)).history
    assert [metrics["learning_rate"] for metrics in history] == pytest.approx([0.01, 0.003, 0.001])  # 32 steps an epoch


def test_logits_and_one_hot_losses_train_to_the_same_numbers(data: Data) -> None:
    found = []
    for ending, loss in (
        ("softmax", "sparse_categorical_crossentropy"),
        (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ("softmax", keras.losses.CategoricalCrossentropy()),
    ):
        net = network(activation=ending)
        net.compile("adam", loss)
        model, _, options = compiled_fit(net, data)
        assert model.layers[-1].activation is keras.activations.softmax
        found.append(fit(model, data, options, FitPlan(1, seed=5)).history[0]["val_loss"])
    assert found == pytest.approx([found[0]] * 3, rel=1e-3)


def test_trials_that_differ_in_rate_and_decay_share_a_trace(data: Data) -> None:
    program_cache._programs.clear()
    for rate in (1e-3, 1e-2):
        net = network()
        net.compile(keras.optimizers.AdamW(rate, weight_decay=rate), "sparse_categorical_crossentropy")
        fit(*compiled_fit(net, data), FitPlan(1, seed=5))
    assert len(program_cache._programs) == 1


def test_inputs_that_are_not_declared_and_grey_images_without_their_channel(data: Data) -> None:
    flat = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    for net in (keras.Sequential(flat), keras.Sequential([keras.Input((8, 8)), *flat])):
        net.compile("adam", "sparse_categorical_crossentropy")
        model, _ = compiled.adopt("own", net, TrainOptions(), SHAPE)
        assert model.inputs[0].shape == (None, *SHAPE)
        assert not compiled.has_scaling(model)
    assert compiled.has_scaling(network())


@keras.saving.register_keras_serializable(package="tests")
class Called(keras.Model):
    """A model by its `call`, with no inputs until it is called."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.inside = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]

    def call(self, images):
        for layer in self.inside:
            images = layer(images)
        return images


class Counted(keras.Model):
    """A functional model with a train_step of its own, which counts its traces."""

    traces = 0

    def train_step(self, batch):
        Counted.traces += 1
        return super().train_step(batch)


@pytest.mark.parametrize("kind", [Called, Counted])
def test_models_by_their_call_and_with_a_train_step_of_their_own(data: Data, kind: type[keras.Model]) -> None:
    base = network()
    net = Called() if kind is Called else Counted(base.inputs, base.outputs)
    net.compile(keras.optimizers.SGD(0.2, momentum=0.5), "sparse_categorical_crossentropy")
    history = fit(*compiled_fit(net, data), FitPlan(3, seed=5)).history
    assert history[-1]["val_accuracy"] > 0.8
    assert history[-1]["learning_rate"] == pytest.approx(0.2)
    assert kind is Called or Counted.traces > 0


@pytest.mark.parametrize(
    ("compile_", "says"),
    [
        (None, "expected a compiled model; call model.compile"),
        (("adam", "binary_crossentropy"), "compiled with one of Keras's sparse_categorical_crossentropy, categorical_"),
        (("adam", lambda y, p: y), "compiled with one of Keras's"),
        (("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=3)), "its loss has ignore_class = 3"),
        ((keras.optimizers.Adam(use_ema=True), "sparse_categorical_crossentropy"), "got one with use_ema"),
        ((keras.optimizers.Adam(gradient_accumulation_steps=2), "sparse_categorical_crossentropy"), "raise batch_size instead"),
        ((keras.optimizers.Adam(lambda: 0.1), "sparse_categorical_crossentropy"), "a function for its rate"),
    ],
)
def test_what_it_was_compiled_with_and_cannot_be_trained_by_is_named(compile_, says: str) -> None:
    net = network()
    if compile_:
        net.compile(*compile_)
    with pytest.raises(ModelError) as error:
        compiled.adopt("own", net, TrainOptions(), SHAPE)
    assert says in str(error.value)


def test_an_input_of_another_shape_is_refused() -> None:
    net = network()
    net.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ModelError, match=r"expected one input of images \(28, 28, 1\), got \(8, 8, 1\)"):
        compiled.adopt("own", net, TrainOptions(), (28, 28, 1))


def test_a_length_that_is_left_open_is_the_images() -> None:
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    net = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x)))
    net.compile("adam", "sparse_categorical_crossentropy")
    model, _ = compiled.adopt("own", net, TrainOptions(), SHAPE)
    assert model.input_shape == (None, *SHAPE)


def test_what_scales_is_known_as_a_layer_and_as_an_operation() -> None:
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten()
    assert compiled.has_scaling(keras.Model(inputs, flat(inputs / 255.0)))
    assert compiled.has_scaling(keras.Model(inputs, flat(keras.layers.Rescaling(1 / 255)(inputs))))
    assert not compiled.has_scaling(keras.Model(inputs, flat(inputs)))
