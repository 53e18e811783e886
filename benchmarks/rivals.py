"""The rivals of the whole-search benchmark, each as its own users write it: `rivals.py NAME EPOCHS` runs the twelve trials.

All of them train the same Keras model on 50,000 images in memory, log parameters, metrics by epoch and a confusion matrix to
MLflow, and print the best validation accuracy at the end. They run in the current folder.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib
import mlflow
import numpy as np
from images import arrays
from points import POINTS, WIDTHS
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def build(point: dict[str, Any]) -> keras.Model:
    """The network of one point, compiled."""
    model = keras.Sequential([keras.layers.Input((28, 28, 1)), keras.layers.Flatten()])
    for width in WIDTHS[: point["depth"]]:
        model.add(keras.layers.Dense(width))
        model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation("relu"))
        model.add(keras.layers.Dropout(point["dropout"]))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(point["learning_rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def log_confusion(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the confusion matrix and log it."""
    matrix = confusion_matrix(y, model.predict(x, verbose=0).argmax(axis=1))
    figure = ConfusionMatrixDisplay(matrix).plot().figure_
    mlflow.log_figure(figure, "confusion_matrix.png")
    mlflow.log_dict({"counts": matrix.tolist()}, "confusion_matrix.json")
    plt.close(figure)


class LogEpochs(keras.callbacks.Callback):
    """Log an epoch's metrics to the current run."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        mlflow.log_metrics({name: float(value) for name, value in (logs or {}).items()}, step=epoch)


def optuna_mlflow(epochs: int, autolog: bool = False) -> float:
    """Optuna's `optimize` with a run for each trial; with `autolog`, MLflow logs what it thinks fit."""
    import optuna

    x, y, val_x, val_y = arrays()
    if autolog:
        mlflow.tensorflow.autolog()

    def objective(trial: optuna.Trial) -> float:
        point = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
            "depth": trial.suggest_int("depth", 2, 3),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        }
        with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
            mlflow.log_params(trial.params if not autolog else {"depth": point["depth"], "dropout": point["dropout"]})
            model = build(point)
            history = model.fit(
                x, y, batch_size=point["batch_size"], epochs=epochs, validation_data=(val_x, val_y), verbose=0,
                callbacks=[] if autolog else [LogEpochs()],
            )  # fmt: skip
            log_confusion(model, val_x, val_y)
        return max(history.history["val_accuracy"])

    study = optuna.create_study(direction="maximize", storage="sqlite:///optuna.db", study_name="bench")
    for point in POINTS:
        study.enqueue_trial(point)
    with mlflow.start_run(run_name="study"):
        study.optimize(objective, n_trials=len(POINTS))
    return study.best_value


def keras_tuner_mlflow(epochs: int) -> float:
    """Keras Tuner's search over a HyperModel whose `fit` opens a run. Its grid is over the list of points."""
    import keras_tuner

    class Model(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return build(POINTS[hp.Int("point", 0, len(POINTS) - 1)])

        def fit(self, hp: Any, model: keras.Model, x: np.ndarray, y: np.ndarray, validation_data: Any, **options: Any) -> Any:
            point = POINTS[hp.get("point")]
            with mlflow.start_run(nested=True):
                mlflow.log_params(point)
                options["callbacks"] = [*options.get("callbacks", []), LogEpochs()]
                history = model.fit(x, y, batch_size=point["batch_size"], validation_data=validation_data, **options)
                log_confusion(model, *validation_data)
            return history

    x, y, val_x, val_y = arrays()
    tuner = keras_tuner.GridSearch(
        Model(), objective="val_accuracy", max_trials=len(POINTS), directory="kt", project_name="bench", overwrite=True
    )
    with mlflow.start_run(run_name="study"):
        tuner.search(x, y, epochs=epochs, validation_data=(val_x, val_y), verbose=0)
    return float(tuner.oracle.get_best_trials(1)[0].score)


SIDES = {
    "keras-tuner+mlflow": keras_tuner_mlflow,
    "optuna+mlflow": optuna_mlflow,
    "optuna+autolog": lambda epochs: optuna_mlflow(epochs, autolog=True),
}

if __name__ == "__main__":
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("bench")
    print(f"best {SIDES[sys.argv[1]](int(sys.argv[2])):.4f}")
