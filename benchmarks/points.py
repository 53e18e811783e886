"""The twelve trials of the whole-search benchmark, the same for every side: the 512-256-128 family with four things varied."""

from __future__ import annotations

from typing import Any

from images import SPLITS_LINE

WIDTHS = (512, 256, 128)
POINTS: tuple[dict[str, Any], ...] = tuple(
    {"depth": depth, "batch_size": batch, "learning_rate": rate, "dropout": dropout}
    for depth, batch, rate, dropout in (
        (3, 32, 1.0e-3, 0.2), (2, 64, 3.0e-3, 0.1), (3, 128, 1.0e-3, 0.3), (2, 32, 5.0e-4, 0.4),
        (3, 64, 2.0e-3, 0.2), (2, 128, 4.0e-3, 0.3), (3, 32, 3.0e-4, 0.1), (2, 64, 1.0e-3, 0.2),
        (3, 128, 2.0e-3, 0.4), (2, 32, 2.0e-3, 0.3), (3, 64, 5.0e-4, 0.1), (2, 128, 1.0e-3, 0.2),
    )
)  # fmt: skip


def study_file(epochs: int) -> str:
    """Tailor's study file of these trials: the space that they are drawn from, and each of them enqueued."""
    enqueued = "\n".join("[[enqueue]]\n" + "\n".join(f"{key} = {value!r}" for key, value in point.items()) for point in POINTS)
    return f"""
[study]
name = "bench"
dataset = "fashion-mnist"
model = "mlp"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "tpe"
pruner = "none"
trials = {len(POINTS)}
max_epochs = {epochs}

[space]
learning_rate = {{ low = 1e-4, high = 1e-2, log = true }}
batch_size = {{ choices = [32, 64, 128] }}
depth = {{ low = 2, high = 3 }}
dropout = {{ low = 0.0, high = 0.5 }}

[training]
units_1 = {WIDTHS[0]}
units_2 = {WIDTHS[1]}
units_3 = {WIDTHS[2]}
batch_norm = true
batch_norm_momentum = 0.99
schedule = "constant"

[data]
{SPLITS_LINE}

{enqueued}
"""
