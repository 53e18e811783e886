"""The training loop against Keras's own: the same numbers where the arithmetic is the same."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
from fits import SHAPE, digits, keras_history, model

from tailor.models.factory import resolve
from tailor.models.training import batches, losses, program_cache
from tailor.models.training.clone import convert_to_float32
from tailor.models.training.fit import Data, FitHooks, FitPlan, balance_classes, fit
from tailor.models.training.options import TrainOptions
from tailor.models.training.program_cache import get_program
from tailor.models.training.schedules import Schedule


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        (TrainOptions(), lambda: keras.optimizers.Adam(1e-3)),
        (TrainOptions(weight_decay=0.01), lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.01)),
        (TrainOptions(clip_norm=0.5), lambda: keras.optimizers.Adam(1e-3, global_clipnorm=0.5)),
        (TrainOptions(optimizer="sgd", learning_rate=0.1), lambda: keras.optimizers.SGD(0.1, momentum=0.9)),
        (
            TrainOptions(optimizer="sgd", learning_rate=0.05, nesterov=True),
            lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        ),
        (TrainOptions(optimizer="sgd", learning_rate=0.1, momentum=0.0), lambda: keras.optimizers.SGD(0.1)),
        (TrainOptions(optimizer="rmsprop"), lambda: keras.optimizers.RMSprop(1e-3, momentum=0.9)),
        (TrainOptions(optimizer="nadam"), lambda: keras.optimizers.Nadam(1e-3)),
        (TrainOptions(optimizer="adagrad", learning_rate=0.05), lambda: keras.optimizers.Adagrad(0.05)),
        (
            TrainOptions(optimizer="muon"),
            lambda: keras.optimizers.Muon(1e-3, weight_decay=None, adam_weight_decay=None, exclude_layers=["dense_2"]),
        ),
        (
            TrainOptions(optimizer="muon", weight_decay=0.1, clip_norm=0.5),
            lambda: keras.optimizers.Muon(
                1e-3, weight_decay=0.1, adam_weight_decay=0.1, global_clipnorm=0.5, exclude_layers=["dense_2"]
            ),
        ),
        (TrainOptions(optimizer="schedule_free_adamw"), lambda: keras.optimizers.ScheduleFreeAdamW(1e-3)),
        (
            TrainOptions(optimizer="schedule_free_adamw", weight_decay=0.01),
            lambda: keras.optimizers.ScheduleFreeAdamW(1e-3, weight_decay=0.01),
        ),
    ],
    ids=[
        "adam",
        "adamw",
        "clipped",
        "sgd",
        "nesterov",
        "plain-sgd",
        "rmsprop",
        "nadam",
        "adagrad",
        "muon",
        "clipped-muon",
        "schedule-free",
        "schedule-free-decay",
    ],
)
def test_the_loop_is_keras_fit_to_rounding(data: Data, options: TrainOptions, optimizer) -> None:
    options = dataclasses.replace(options, schedule="constant")  # as Keras has it
    ours = fit(model(batch_norm=True), data, options, FitPlan(2, seed=5)).history
    theirs = keras_history(model(batch_norm=True), data, optimizer(), seed=5, epochs=2)
    for mine, keras_ in zip(ours, theirs, strict=True):
        for name, value in keras_.items():
            assert mine[name] == pytest.approx(value, rel=2e-3, abs=3e-3 if "accuracy" in name else 0), name


def test_averaged_weights_are_keras_own_and_are_what_is_validated_and_kept(data: Data) -> None:
    """Keras's fit ends with the average in place of the weights, so it is compared after one epoch."""
    options = TrainOptions(schedule="constant", ema=0.9)
    (ours,) = fit(model(batch_norm=True), data, options, FitPlan(1, seed=5)).history
    (theirs,) = keras_history(
        model(batch_norm=True), data, keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9), seed=5, epochs=1
    )
    assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=2e-3)
    net = model()
    averaged = fit(net, data, options, FitPlan(3, seed=5))
    raw = fit(model(), data, dataclasses.replace(options, ema=0.0), FitPlan(3, seed=5))
    for mine, plain in zip(averaged.history, raw.history, strict=True):
        assert mine["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-5)  # an average changes no step
        assert mine["val_loss"] != pytest.approx(plain["val_loss"], rel=1e-3)
    guesses = net.predict(data.val_images, verbose=0).argmax(axis=1)
    assert (guesses == data.val_labels.numpy()).mean() == pytest.approx(averaged.best["val_accuracy"], abs=1e-6)


def test_other_momenta_of_an_average_share_the_trace(data: Data) -> None:
    program_cache._programs.clear()
    fresh, other, again = (fit(model(), data, TrainOptions(ema=ema), FitPlan(1, seed=5)).history for ema in (0.9, 0.99, 0.9))
    assert len(program_cache._programs) == 1
    assert fresh == again != other


@pytest.mark.parametrize(("kind", "count"), [("flip", 2), ("shift", 5), ("flip_shift", 10)])
def test_test_time_augmentation_averages_over_views(data: Data, kind: str, count: int) -> None:
    net = model()
    fitted = fit(net, data, TrainOptions(learning_rate=0.02, tta=kind), FitPlan(1, seed=5))
    padded = np.pad(data.val_images.numpy(), [(0, 0), (1, 1), (1, 1), (0, 0)])
    corners = [(1, 1)] if kind == "flip" else [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    views = [padded[:, y : y + 8, x : x + 8] for y, x in corners]
    if "flip" in kind:
        views += [np.pad(data.val_images.numpy()[:, :, ::-1], [(0, 0), (1, 1), (1, 1), (0, 0)])[:, y : y + 8, x : x + 8]
                  for y, x in corners]  # fmt: skip
    assert len(views) == count
    mean = np.mean([net.predict(view, verbose=0) for view in views], axis=0)
    assert fitted.augmented is not None and fitted.augmented.loss != pytest.approx(fitted.validation.loss, rel=1e-2)
    right = mean[np.arange(len(mean)), data.val_labels.numpy()]
    assert fitted.augmented.loss == pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert fitted.augmented.accuracy == pytest.approx((mean.argmax(axis=1) == data.val_labels.numpy()).mean(), abs=2e-3)


def test_nothing_is_augmented_unless_asked_nor_of_what_is_stopped(data: Data) -> None:
    stop = FitHooks(report=lambda epoch, metrics: True)
    assert fit(model(), data, TrainOptions(), FitPlan(1, seed=5)).augmented is None
    assert fit(model(), data, TrainOptions(tta="flip"), FitPlan(1, seed=5), stop).augmented is None


@pytest.mark.parametrize("batch", [32, 50])
def test_images_streamed_from_a_file_train_to_the_same_numbers(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(batches, "CHUNK_BYTES", 200 * 64)  # several chunks an epoch, the last one short
    mapped = {}
    for name in ("train_images", "val_images"):
        np.save(tmp_path / f"{name}.npy", getattr(data, name).numpy())
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    options = TrainOptions(batch_size=batch)
    streamed = fit(model(dropout=0.2), dataclasses.replace(data, **mapped), options, FitPlan(3, seed=5))
    resident = fit(model(dropout=0.2), data, options, FitPlan(3, seed=5))
    assert streamed.history == resident.history


@pytest.mark.parametrize(("side", "count"), [(28, 1000), (32, 1000), (224, 41), (20_000, 1)])
def test_of_large_images_fewer_are_shown_at_once(side: int, count: int) -> None:
    assert batches.limit_batch(side, side, 1000) == count


def test_how_many_are_shown_at_once_does_not_change_what_is_said(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    made = get_program(model(), TrainOptions(), 10)
    whole = made.evaluate(data.val_images, data.val_labels)
    monkeypatch.setattr(batches, "WIDE_BYTES", 7 * 8 * 8 * 64 * 4)
    shown: list[int] = []
    batch = made._evaluate
    monkeypatch.setattr(made, "_evaluate", lambda images, labels: (shown.append(len(images)), batch(images, labels))[1])
    by_seven = made.evaluate(data.val_images, data.val_labels)
    assert max(shown) == 7 and sum(shown) == len(data.val_labels)
    assert (by_seven.accuracy, by_seven.loss) == (whole.accuracy, pytest.approx(whole.loss, rel=1e-5))


@pytest.mark.parametrize("loss", ["focal", "kl_divergence", "mean_squared_error", "categorical_hinge"])
def test_other_losses_are_keras_own(data: Data, loss: str) -> None:
    ours = fit(model(), data, TrainOptions(loss=loss, schedule="constant"), FitPlan(1, seed=5)).history[0]
    net = model()
    net.compile("adam", losses.KERAS[loss])
    order = np.random.default_rng([5, 1]).permutation(1003)
    hot = keras.utils.to_categorical(data.train_labels.numpy(), 10)
    record = net.fit(data.train_images.numpy()[order], hot[order], batch_size=32, shuffle=False, verbose=0).history
    assert ours["train_loss"] == pytest.approx(record["loss"][0], rel=2e-3)


def test_class_weights_weigh_the_loss_as_keras_does(data: Data) -> None:
    weights = balance_classes(data)
    assert weights.sum() == pytest.approx(10, rel=0.05)
    options = TrainOptions(class_weight="balanced", schedule="constant")
    ours = fit(model(), data, options, FitPlan(2, seed=5)).history
    theirs = keras_history(
        model(), data, keras.optimizers.Adam(1e-3), seed=5, epochs=2, class_weight=dict(enumerate(weights.tolist()))
    )
    assert ours[1]["train_loss"] == pytest.approx(theirs[1]["train_loss"], rel=2e-3)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(data: Data) -> None:
    first, again, other = (fit(model(seed=s, dropout=0.3), data, TrainOptions(), FitPlan(2, seed=s)).history for s in (3, 3, 4))
    assert first == again != other


def test_a_trace_serves_other_rates_without_changing_their_numbers(data: Data) -> None:
    """What one program trained before leaves no mark on what it trains next."""

    program_cache._programs.clear()
    options = TrainOptions(learning_rate=3e-3, weight_decay=0.02)
    fresh = fit(model(dropout=0.4), data, options, FitPlan(2, seed=9)).history
    program_cache._programs.clear()
    fit(model(seed=2, dropout=0.1), data, TrainOptions(learning_rate=1e-2, weight_decay=0.5), FitPlan(2, seed=2))
    assert len(program_cache._programs) == 1
    assert fit(model(dropout=0.4), data, options, FitPlan(2, seed=9)).history == fresh
    assert len(program_cache._programs) == 1


def test_a_step_computes_its_rate_once_for_all_weights_and_their_decay(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    options = TrainOptions(weight_decay=0.02, warmup_epochs=1)
    calls: list[None] = []
    find = Schedule.find
    monkeypatch.setattr(Schedule, "find", lambda self, step: (calls.append(None), find(self, step))[1])

    def train() -> tuple[list[dict[str, float]], int]:
        program_cache._programs.clear()
        calls.clear()
        return fit(model(), data, options, FitPlan(2, seed=5)).history, len(calls)

    held, few = train()
    monkeypatch.setattr(Schedule, "hold", lambda self, step: nullcontext())
    anew, many = train()
    assert held == anew  # to the last bit
    weights = len(model().trainable_variables)
    assert many - few == 2 * weights  # a full batch and a short one: a graph each


def test_dropout_in_the_clone_drops_its_rate_and_keeps_the_mean(data: Data) -> None:
    net = keras.Sequential([keras.Input((2000,)), keras.layers.Dropout(0.3)])
    clone = get_program(net, TrainOptions(), 2000).model
    out = clone(np.ones((50, 2000), "float32"), training=True).numpy()
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert out.mean() == pytest.approx(1.0, abs=0.01)
    assert (clone(np.ones((2, 2000), "float32"), training=False).numpy() == 1).all()


def test_bfloat16_trains_as_well_as_float32_and_exports_as_float32(data: Data) -> None:
    accuracies: dict[str, list[float]] = {"float32": [], "mixed_bfloat16": []}
    for policy, found in accuracies.items():
        for seed in range(3):
            keras.utils.clear_session(free_memory=False)
            keras.utils.set_random_seed(seed)
            keras.config.set_dtype_policy(policy)
            net = resolve("cnn")({"filters": 16, "blocks": 2, "dense_units": 32}, SHAPE, 10)
            keras.config.set_dtype_policy("float32")
            found.append(fit(net, data, TrainOptions(learning_rate=3e-3), FitPlan(4, seed=seed)).history[-1]["val_accuracy"])
    assert np.mean(accuracies["mixed_bfloat16"]) == pytest.approx(np.mean(accuracies["float32"]), abs=0.03)
    plain = convert_to_float32(net)
    assert {layer.compute_dtype for layer in plain.layers} <= {"float32", "uint8"}
    images = data.val_images[:50].numpy()
    assert plain.predict(images, verbose=0) == pytest.approx(net.predict(images, verbose=0), abs=0.05)
