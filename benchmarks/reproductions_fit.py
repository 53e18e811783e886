"""One training as a notebook does it: `reproductions_fit.py TABLES.json` trains by `model.fit` and prints its figures as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tailor.experiments.datasets.catalog import open_dataset


def network(training: dict) -> keras.Model:
    """The described network, written out in Keras."""
    activation, dropout = training.get("activation", "relu"), training.get("dropout", 0.0)
    model = keras.Sequential([keras.layers.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)])
    if "blocks" in training:
        for number in range(1, training["blocks"] + 1):
            model.add(keras.layers.Conv2D(training[f"filters_{number}"], training["kernel"], activation=activation))
            if number <= training["pools"]:
                model.add(keras.layers.MaxPooling2D())
        model.add(keras.layers.Flatten())
        model.add(keras.layers.Dense(training["dense_units"], activation=activation))
        model.add(keras.layers.Dropout(dropout))
    else:
        model.add(keras.layers.Flatten())
        for number in range(1, training["depth"] + 1):
            model.add(keras.layers.Dense(training.get(f"units_{number}", training.get("units"))))
            if training.get("batch_norm"):
                model.add(keras.layers.BatchNormalization(momentum=training["batch_norm_momentum"]))
            model.add(keras.layers.Activation(activation))
            model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def main() -> None:
    laid = json.loads(Path(sys.argv[1]).read_text())
    training, epochs = laid["training"], laid["search"]["max_epochs"]
    data = open_dataset("fashion-mnist", Path(os.environ["TAILOR_DATA"]))
    held = laid["data"]["splits"]["val"]
    order = np.random.default_rng(0).permutation(len(data.pool.labels))
    val, train = order[:held], order[held + laid["data"]["splits"]["holdout"] :]
    rate = training["learning_rate"]
    if training["schedule"] != "constant":  # Keras has no one-cycle; a decay by the cosine costs the same time
        rate = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(train) // training["batch_size"]))
    model = network(training)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stops = []
    if "early_stopping" in training:
        stops = [keras.callbacks.EarlyStopping("val_accuracy", patience=training["early_stopping"]["patience"], mode="max")]
    pool = data.pool
    history = model.fit(
        pool.images[train], pool.labels[train], batch_size=training["batch_size"], epochs=epochs, verbose=0, callbacks=stops,
        validation_data=(pool.images[val], pool.labels[val]),
    ).history  # fmt: skip
    loss, accuracy = model.evaluate(data.test.images, data.test.labels, batch_size=500, verbose=0)
    figures = {"val_accuracy": max(history["val_accuracy"]), "test_accuracy": accuracy, "test_loss": loss}
    print(json.dumps({**figures, "epochs": len(history["val_accuracy"])}))


if __name__ == "__main__":
    main()
