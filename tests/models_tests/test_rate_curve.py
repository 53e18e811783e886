"""The learning-rate range test: its losses are Keras's own, and its advice is read off the curve."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from fits import digits

from tailor.models.errors import ModelError
from tailor.models.factory import resolve
from tailor.models.training.lr_range import measure_losses
from tailor.models.training.options import TrainOptions
from tailor.models.training.rate_curve import RateCurve, RatePlan, advise, has_diverged


def model() -> keras.Model:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    return resolve("mlp")({"units": 24}, (8, 8, 1), 10)


def test_each_step_trains_at_its_rate_as_keras_does() -> None:
    data, plan = digits(), RatePlan(1e-4, 1e-1, 40)
    found = measure_losses(model(), data, TrainOptions(optimizer="sgd", schedule="cosine", warmup_epochs=2.0), plan, seed=3)
    assert found.rates == pytest.approx(np.geomspace(1e-4, 1e-1, 40)) and len(found.losses) == 40
    theirs = model()
    theirs.compile(keras.optimizers.SGD(0.0, momentum=0.9), "sparse_categorical_crossentropy")
    images, labels = data.train_images.numpy(), data.train_labels.numpy()
    rows = np.concatenate([np.random.default_rng([3, first]).permutation(1003) for first in (0, 32)])  # 32 batches an epoch
    batches = [*np.array_split(rows[:1003], range(32, 1003, 32)), *np.array_split(rows[1003:], range(32, 1003, 32))]
    losses = []
    for rate, batch in zip(found.rates, batches, strict=False):
        theirs.optimizer.learning_rate = rate
        theirs.reset_metrics()
        losses.append(theirs.train_on_batch(images[batch], labels[batch]))
    assert found.losses == pytest.approx(losses, rel=2e-3)


def test_an_epoch_at_each_rate_gives_the_epochs_mean_loss() -> None:
    data = digits()
    found = measure_losses(model(), data, TrainOptions(), RatePlan(1e-7, 1e-6, 3, by_epoch=True), seed=3)
    untrained = model()
    untrained.compile(loss="sparse_categorical_crossentropy")
    whole = untrained.evaluate(data.train_images, data.train_labels, verbose=0)
    assert found.losses == pytest.approx([whole] * 3, rel=1e-2) and found.losses[0] > found.losses[2]


def test_the_advice_is_where_the_loss_falls_fastest_and_is_lowest() -> None:
    rates = np.geomspace(1e-6, 1, 200)
    fall = 2.3 - 2 / (1 + np.exp(-4 * (np.log10(rates) + 3)))  # steepest at 1e-3
    rise = np.maximum(0, np.log10(rates) + 1.5) ** 2 * 4  # from 10^-1.5 on
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    advice = advise(RateCurve(tuple(rates), tuple(fall + rise + noise)))
    assert 5e-4 < advice.rate < 2e-3 and 5e-3 < advice.high < 6e-2 and advice.low == pytest.approx(advice.rate / 10, rel=0.06)


def test_a_curve_that_says_nothing_is_refused() -> None:
    rates = tuple(np.geomspace(1e-3, 10, 50))
    with pytest.raises(ModelError, match=r"the loss never falls between rates of 0\.001 and 10"):
        advise(RateCurve(rates, tuple(np.linspace(2, 3, 50))))
    with pytest.raises(ModelError, match=r"diverged after 3 rates.*begin lower"):
        advise(RateCurve(rates[:4], (2.0, 2.1, 2.2, float("nan"))))


def test_a_test_ends_when_the_loss_diverges_and_not_at_one_bad_batch() -> None:
    assert not has_diverged([2.0] * 10 + [0.5] * 10 + [3.0])
    assert has_diverged([2.0] * 10 + [0.5] * 10 + [3.0] * 5)
    assert has_diverged([2.0, float("inf")])
