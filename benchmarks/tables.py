"""Makes the tables that the stand-ins read: random trials, trained to the end, with the learning curve of each.

TAILOR_DATA=DIR python benchmarks/tables.py [NAME…]

Each is a study that Tailor searches at random in a folder of its own; what is kept of it is `measured/tables/NAME.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from stand_ins import TABLES

from tailor.experiments.planning.initial_points import add_defaults
from tailor.models.factory import resolve
from tailor.search.study.load import build
from tailor.search.study.spec import SearchPlan

DENSE = """
learning_rate = { low = 1e-4, high = 3e-2, log = true }
batch_size = { choices = [32, 64, 128, 256] }
depth = { low = 1, high = 4 }
units_1 = { low = 32, high = 512, log = true }
units_2 = { low = 32, high = 512, log = true, when = "depth >= 2" }
units_3 = { low = 32, high = 256, log = true, when = "depth >= 3" }
units_4 = { low = 32, high = 256, log = true, when = "depth >= 4" }
dropout = { low = 0.0, high = 0.6 }
batch_norm = [false, true]
optimizer = ["adam", "sgd", "rmsprop"]
"""
CONVOLUTIONAL = """
learning_rate = { low = 1e-4, high = 3e-2, log = true }
batch_size = { choices = [32, 64, 128] }
blocks = { low = 1, high = 3 }
filters_1 = { low = 8, high = 48, step = 8 }
filters_2 = { low = 16, high = 96, step = 16, when = "blocks >= 2" }
filters_3 = { low = 16, high = 96, step = 16, when = "blocks >= 3" }
head = ["flatten", "average"]
dense_units = { choices = [64, 128, 256] }
dropout = { low = 0.0, high = 0.6 }
batch_norm = [false, true]
"""
# Of Fashion-MNIST; on a small validation set the luckiest of many trials would win. The schedules are one of each kind, because
# they make other curves. Name: model, space, images, trials, epochs, schedule
KINDS: dict[str, tuple[str, str, int, int, int, str]] = {
    "fashion-8000-mlp": ("mlp", DENSE, 8000, 300, 12, "constant"),
    "fashion-4000-cnn": ("cnn", CONVOLUTIONAL, 4000, 120, 12, "cosine"),
}


def study_file(name: str) -> str:
    """The study whose trials make the table."""
    model, space, images, trials, epochs, schedule = KINDS[name]
    return f"""
[study]
name = "{name}"
dataset = "fashion-mnist"
model = "{model}"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "random"
pruner = "none"
defaults_first = false
trials = {trials}
max_epochs = {epochs}
keep_models = 1

[space]
{space}
[training]
precision = "float32"
schedule = "{schedule}"

[data]
splits = {{ val = 4000, holdout = {56_000 - images} }}
"""


def make(name: str) -> None:
    """Train the trials of one table, and write it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.toml"
        path.write_text(study_file(name))
        command = [str(Path(sys.executable).parent / "tailor"), "search", str(path), "--store", f"{folder}/store"]
        subprocess.run(command, check=True, env=os.environ)
        rows = _rows(MlflowClient(f"sqlite:///{folder}/store/mlflow.db"), name)
    study = tomllib.loads(study_file(name))
    TABLES.mkdir(parents=True, exist_ok=True)
    spec = dataclasses.replace(build(study), search=SearchPlan())
    (usual,) = add_defaults(spec, resolve(spec.model).defaults or {}).enqueue
    head = {"study": study, "usual": usual}
    lines = ",\n".join(json.dumps(row) for row in rows)
    (TABLES / f"{name}.json").write_text(f'{json.dumps(head)[:-1]}, "rows": [\n{lines}\n]}}\n')


def _rows(client: MlflowClient, name: str) -> list[dict[str, Any]]:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    rows = []
    for run in client.search_runs([experiment.experiment_id], "tags.`tailor.status` = 'complete'", max_results=5000):
        if "tailor.trial" in run.data.tags:
            curve = [round(m.value, 4) for m in client.get_metric_history(run.info.run_id, "val_accuracy")]
            seconds = run.data.metrics["train_seconds"] / len(curve)
            values = {name: _plain(text) for name, text in run.data.params.items()}
            rows.append({"values": values, "seconds": float(f"{seconds:.3g}"), "curve": curve})
    return rows


def _plain(text: str) -> Any:
    """A parameter as it was before MLflow made text of it."""
    try:
        return json.loads({"True": "true", "False": "false"}.get(text, text))
    except json.JSONDecodeError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*KINDS, []])
    for name in parser.parse_args().names or KINDS:
        make(name)


if __name__ == "__main__":
    main()
