"""The rivals of the race (race.py) as their users run them: `race_rivals.py NAME SEED` searches until it is ended.

The network is the same, written in Keras as one would, and trained by `model.fit` on numpy arrays. After each epoch a line
`epoch VAL_ACCURACY` is printed.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from cnn_space import BATCHES, BLOCKS, DENSE, DROPOUT, EPOCHS, FILTERS, HEADS, NORMS, RATES
from images import arrays
from keras import layers


def network(point: dict[str, Any]) -> keras.Model:
    """The network of one point, compiled."""
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for block in range(1, point["blocks"] + 1):
        model.add(layers.Conv2D(point[f"filters_{block}"], 3, padding="same"))
        if point["batch_norm"]:
            model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
        if block <= 2:
            model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D() if point["head"] == "average" else layers.Flatten())
    model.add(layers.Dense(point["dense_units"], activation="relu"))
    model.add(layers.Dropout(point["dropout"]))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(point["learning_rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Tell(keras.callbacks.Callback):
    """Print each epoch's validation accuracy."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        print(f"epoch {(logs or {})['val_accuracy']:.4f}", flush=True)


def optuna_example(seed: int) -> None:
    """As Optuna's Keras examples do it (optuna-examples, keras/keras_simple.py): `optimize` over `model.fit`, defaults else."""
    import optuna

    x, y, val_x, val_y = arrays()

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        point: dict[str, Any] = {
            "blocks": trial.suggest_int("blocks", *BLOCKS),
            "learning_rate": trial.suggest_float("learning_rate", *RATES, log=True),
            "batch_size": trial.suggest_categorical("batch_size", BATCHES),
            "head": trial.suggest_categorical("head", HEADS),
            "dense_units": trial.suggest_categorical("dense_units", DENSE),
            "dropout": trial.suggest_float("dropout", *DROPOUT),
            "batch_norm": trial.suggest_categorical("batch_norm", NORMS),
        }
        for i, (low, high, step) in enumerate(FILTERS[: point["blocks"]], 1):
            point[f"filters_{i}"] = trial.suggest_int(f"filters_{i}", low, high, step=step)
        model = network(point)
        model.fit(
            x, y, batch_size=point["batch_size"], epochs=EPOCHS, validation_data=(val_x, val_y), verbose=0, callbacks=[Tell()]
        )
        return float(model.evaluate(val_x, val_y, verbose=0)[1])

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective)


def keras_tuner_hyperband(seed: int) -> None:
    """As Keras Tuner's own tutorial on Fashion-MNIST does it: Hyperband by a factor of 3, and early stopping."""
    import keras_tuner

    class Model(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            point = {
                "blocks": hp.Int("blocks", *BLOCKS),
                "learning_rate": hp.Float("learning_rate", *RATES, sampling="log"),
                "head": hp.Choice("head", HEADS),
                "dense_units": hp.Choice("dense_units", DENSE),
                "dropout": hp.Float("dropout", *DROPOUT),
                "batch_norm": hp.Boolean("batch_norm"),
            }
            for i, (low, high, step) in enumerate(FILTERS[: point["blocks"]], 1):
                point[f"filters_{i}"] = hp.Int(f"filters_{i}", low, high, step=step)
            return network(point)

        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **options: Any) -> Any:
            return model.fit(*arguments, batch_size=hp.Choice("batch_size", BATCHES), **options)

    x, y, val_x, val_y = arrays()
    tuner = keras_tuner.Hyperband(
        Model(), objective="val_accuracy", max_epochs=EPOCHS, factor=3, hyperband_iterations=100, seed=seed + 1, directory="kt",
    )  # fmt: skip
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    tuner.search(x, y, validation_data=(val_x, val_y), callbacks=[stop, Tell()], verbose=0)


SIDES = {"keras-tuner's hyperband": keras_tuner_hyperband, "optuna's keras example": optuna_example}

if __name__ == "__main__":
    SIDES[sys.argv[1]](int(sys.argv[2]))
