"""What the suites over the training loop share: the digits, and what Keras's own fit makes of them in the loop's order."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from tailor.models.factory import resolve
from tailor.models.training.fit import Data

SHAPE = (8, 8, 1)


def digits() -> Data:
    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype("uint8")[..., None]
    labels = bunch.target.astype("int64")
    return Data(*map(tf.constant, (images[:1003], labels[:1003], images[1003:], labels[1003:])), num_classes=10)


def model(seed: int = 1, **hparams: object) -> keras.Model:
    """A small dense network for the digits, the same for the same seed."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    return resolve("mlp")({"units": 24, **hparams}, SHAPE, 10)


def keras_history(
    net: keras.Model,
    data: Data,
    optimizer: keras.optimizers.Optimizer,
    seed: int,
    epochs: int,
    after: Callable[[int, dict[str, float]], None] = lambda epoch, metrics: None,
    **fit_: object,
):
    """model.fit in the loop's own order of images: one epoch after another, with a callback's `after` each."""
    optimizer.build(net.trainable_variables)  # in Keras 3.15's fit, ScheduleFreeAdamW would begin with zeros for weights
    net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = data.train_images.numpy(), data.train_labels.numpy()
    history = []
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(labels))
        record = net.fit(images[order], labels[order], batch_size=32, shuffle=False, verbose=0, **fit_).history
        loss, accuracy = net.evaluate(data.val_images, data.val_labels, verbose=0)
        train = {"train_loss": record["loss"][0], "train_accuracy": record["accuracy"][0]}
        history.append({**train, "val_loss": loss, "val_accuracy": accuracy})
        after(epoch - 1, dict(history[-1]))
    return history
