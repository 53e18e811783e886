"""One side of the throughput benchmark in one process: `sides.py SIDE CASE` trains, and prints its rate and accuracy as JSON.

Every side trains the same network by Adam at 1e-3: one epoch to warm up, then, at a word on standard input, the timed epochs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

WIDE = {"depth": 3, "units_1": 512, "units_2": 256, "units_3": 128, "batch_norm": True, "dropout": 0.2}
HPARAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp-512-128": ("mlp", {"depth": 2, "units_1": 512, "units_2": 128, "batch_norm": True, "dropout": 0.2}),
    "mlp-512-256-128": ("mlp", WIDE),
    "mlp-4-4-4": ("mlp", {"depth": 3, "units": 4}),
    "cnn-32-64-64": (
        "cnn",
        {"filters_1": 32, "filters_2": 64, "filters_3": 64, "padding": "valid", "dense_units": 256, "dropout": 0.5},
    ),
}
TRAIN = 50_000
LONG = 20
EPOCHS = {"mlp-4-4-4": 6}  # timed; 2 of the others
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Side(NamedTuple):
    """What a side measured: samples per second, validation accuracy, floating-point operations a sample."""

    rate: float
    accuracy: float = 0.0
    flops: float = 0.0


def data() -> Arrays:
    """Training and validation images, uint8 (n, 28, 28, 1), and labels."""
    from tailor.experiments.datasets.catalog import open_dataset

    pool = open_dataset("fashion-mnist", Path(os.environ["TAILOR_DATA"])).pool
    train, val = slice(TRAIN), slice(TRAIN, TRAIN + 5000)
    return pool.images[train], pool.labels[train], pool.images[val], pool.labels[val]


def wait_for_go() -> None:
    """Say that the warm-up is over and wait for the word."""
    print("ready", flush=True)
    sys.stdin.readline()


def one_thread() -> None:
    """As a worker is set up."""
    from tailor.experiments.system.environment import WORKER_ENV, apply_settings

    apply_settings(WORKER_ENV)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def tailor_side(case: str, batch: int, epochs: int, **augmentation: float) -> Side:
    """Tailor's loop on one thread, in the precision that it chooses itself."""
    one_thread()
    import keras
    import tensorflow as tf

    from tailor.models.factory import resolve
    from tailor.models.training.fit import Data, FitHooks, FitPlan, fit
    from tailor.models.training.options import TrainOptions
    from tailor.models.training.precision import choose_precision

    factory, hparams = HPARAMS[case]
    options = TrainOptions(batch_size=batch, schedule="constant", **augmentation)

    def build(policy: str) -> keras.Model:
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        keras.config.set_dtype_policy(policy)
        return resolve(factory)(hparams, (28, 28, 1), 10)

    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[choose_precision(build, options, 10)]
    resident = Data(*map(tf.constant, data()), num_classes=10)
    begun = [0.0]

    def report(epoch: int, metrics: Any) -> bool:
        if epoch == 1:
            wait_for_go()
            begun[0] = time.perf_counter()
        return epoch == 1 + epochs

    # The loop of a trial of LONG epochs (a long trial is compiled, a short one is not), stopped after the timed ones.
    model = build(policy)
    fitted = fit(model, resident, options, FitPlan(LONG, 1), FitHooks(report))
    return Side(epochs * TRAIN / (time.perf_counter() - begun[0]), fitted.history[-1]["val_accuracy"], training_flops(model))


def augmented_side(case: str, batch: int, epochs: int) -> Side:
    """Tailor's loop with flips and shifts."""
    return tailor_side(case, batch, epochs, flip=0.5, shift=2.0)


def training_flops(model: Any) -> float:
    """Multiplications and additions a sample of forward and backward passes: three times the products of the forward pass,
    but for the first layer, whose input needs no gradient."""
    import keras

    products = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            products.append(float(np.prod(layer.output.shape[1:]) * np.prod(layer.kernel.shape[:-1])))
        elif isinstance(layer, keras.layers.Dense):
            products.append(float(np.prod(layer.kernel.shape)))
    return 2 * (3 * sum(products) - products[0])


def peak_side(case: str, batch: int, epochs: int) -> Side:
    """The rate in GFLOP/s of a large bfloat16 matrix product on one thread; nothing is trained."""
    one_thread()
    import tensorflow as tf

    side = 4096
    one = tf.cast(tf.random.normal([side, side]), tf.bfloat16)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(one, one)))
    product()
    wait_for_go()
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < 5:
        product().numpy()
        done += 1
    return Side(done * 2 * side**3 / (time.perf_counter() - begun) / 1e9)


def fit_side(case: str, batch: int, epochs: int) -> Side:
    """model.fit on numpy arrays, all cores, as in the tutorials."""
    import keras

    from tailor.models.factory import resolve

    factory, hparams = HPARAMS[case]
    x, y, val_x, val_y = data()
    keras.utils.set_random_seed(1)
    model = resolve(factory)(hparams, (28, 28, 1), 10)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=batch, epochs=1, validation_data=(val_x, val_y), verbose=0)
    wait_for_go()
    begun = time.perf_counter()
    history = model.fit(x, y, batch_size=batch, epochs=epochs, validation_data=(val_x, val_y), verbose=0).history
    return Side(epochs * TRAIN / (time.perf_counter() - begun), history["val_accuracy"][-1])


def torch_side(case: str, batch: int, epochs: int) -> Side:
    """PyTorch with a DataLoader, all cores, as in the tutorials."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(1)
    if case.startswith("cnn"):
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
        )  # fmt: skip
    else:
        widths = [int(w) for w in case.split("-")[1:]]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, width in zip([784, *widths], widths, strict=False):
            extra = [nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2)] if widths[0] > 4 else [nn.ReLU()]
            layers += [nn.Linear(before, width), *extra]
        model = nn.Sequential(*layers, nn.Linear(widths[-1], 10))
    x, y, val_x, val_y = (torch.tensor(a) for a in data())
    images, val_images = (t.permute(0, 3, 1, 2).float() / 255 for t in (x, val_x))
    loader = DataLoader(TensorDataset(images, y), batch_size=batch, shuffle=True)
    optimizer, loss_of = torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss()

    def epoch() -> float:
        model.train()
        for batch_x, batch_y in loader:
            optimizer.zero_grad()
            loss_of(model(batch_x), batch_y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            return (model(val_images).argmax(1) == val_y).float().mean().item()

    epoch()
    wait_for_go()
    begun = time.perf_counter()
    accuracy = [epoch() for _ in range(epochs)][-1]
    return Side(epochs * TRAIN / (time.perf_counter() - begun), accuracy)


SIDES: dict[str, Callable[[str, int, int], Side]] = {
    "tailor": tailor_side,
    "augmented": augmented_side,
    "peak": peak_side,
    "model.fit": fit_side,
    "torch": torch_side,
}

if __name__ == "__main__":
    side, (name, _, batch_size) = sys.argv[1], sys.argv[2].partition("/")
    print(json.dumps(SIDES[side](name, int(batch_size), EPOCHS.get(name, 2))._asdict()))
