"""The main job on real data: a search of Fashion-MNIST, a promotion, and what a plain script gets of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Shell
from mlflow import MlflowClient
from test_search import check_whole

PLAIN = """
import gzip, os, sys
import numpy as np
import mlflow
folder = sys.argv[1]
images = np.frombuffer(gzip.open(f"{folder}/t10k-images-idx3-ubyte.gz").read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
labels = np.frombuffer(gzip.open(f"{folder}/t10k-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
model = mlflow.pyfunc.load_model("models:/fashion@champion")
print("accuracy", (model.predict(images).argmax(axis=1) == labels).mean())
"""


@pytest.mark.slow
def test_search_promote_and_use(tmp_path: Path, data_dir: Path) -> None:
    tailor = Shell(tmp_path)
    done = tailor("search", "fashion-mlp", "--trials", "12", "--workers", "2", TAILOR_DATA=str(data_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(tmp_path, "fashion-mlp", trials=12, val_size=5000)
    done = tailor("promote", "fashion-mlp", "--to", "fashion", TAILOR_DATA=str(data_dir))
    assert done.returncode == 0, done.stderr
    uri = f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"
    version = MlflowClient(uri).get_model_version_by_alias("fashion", "champion")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(data_dir / "fashion-mnist")],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=True,
    )
    accuracy = float(next(line for line in done.stdout.splitlines() if line.startswith("accuracy")).split()[1])
    assert accuracy == pytest.approx(float(version.tags["tailor.test_accuracy"]), abs=2e-4)
    assert f"{accuracy:.4f}" in version.description
    assert accuracy > 0.85
