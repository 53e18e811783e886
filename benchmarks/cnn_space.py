"""The search of the race (race.py), the same for every side: convolutional networks on Fashion-MNIST."""

from __future__ import annotations

from typing import Any

from images import SPLITS_LINE

EPOCHS = 12
BLOCKS, FILTERS = (2, 3), ((16, 48, 16), (32, 96, 32), (32, 96, 32))  # of the first, second, third block: low, high, step
RATES, BATCHES, DENSE, DROPOUT = (3e-4, 1e-2), [32, 64, 128], [64, 128, 256], (0.0, 0.5)
HEADS, NORMS = ["flatten", "average"], [True, False]


def study_file(name: str, search: dict[str, Any]) -> str:
    """Tailor's study file of it, with these lines in [search]."""
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in search.items())
    third = ', when = "blocks >= 3"'
    widths = "\n".join(
        f"filters_{i} = {{ low = {low}, high = {high}, step = {step}{third if i == 3 else ''} }}"
        for i, (low, high, step) in enumerate(FILTERS, 1)
    )
    return f"""
[study]
name = "{name}"
dataset = "fashion-mnist"
model = "cnn"
objective = "val_accuracy"
direction = "maximize"

[search]
trials = 1000
max_epochs = {EPOCHS}
{lines}

[space]
learning_rate = {{ low = {RATES[0]}, high = {RATES[1]}, log = true }}
batch_size = {{ choices = {BATCHES} }}
blocks = {{ low = {BLOCKS[0]}, high = {BLOCKS[1]} }}
{widths}
head = {_toml(HEADS)}
dense_units = {{ choices = {DENSE} }}
dropout = {{ low = {DROPOUT[0]}, high = {DROPOUT[1]} }}
batch_norm = {_toml(NORMS)}

[data]
{SPLITS_LINE}
"""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else str(value)
