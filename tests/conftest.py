"""Fixtures that several suites share: the real data folder, a shell for the command `tailor`, and one recorded study."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import environment  # noqa: F401 (first of all)
import pytest
from searches import copy_study
from shells import TAILOR, OwnProcess, Shell

__all__ = ["ROOT", "SMALL", "TAILOR", "OwnProcess", "Shell"]

pytest_plugins = ["ledger"]
ROOT = Path(__file__).resolve().parents[1]

SMALL = """
[study]
name = "small"
dataset = "digits"
model = "mlp"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "random"
pruner = "median"
trials = 4
max_epochs = 3
keep_models = 2

[space]
learning_rate = { low = 1e-3, high = 1e-2, log = true }
depth = { low = 1, high = 2 }
units_2 = { choices = [16, 32], when = "depth >= 2" }

[training]
units = 32
batch_norm = true
"""


@pytest.fixture
def tailor(tmp_path: Path) -> Shell:
    """A shell in an empty folder."""
    return Shell(tmp_path)


@pytest.fixture
def tailor_process(tmp_path: Path) -> OwnProcess:
    """The same folder, each command in a new process."""
    return OwnProcess(tmp_path)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file: SMALL with each (old, new) replaced."""

    def write(*changes: tuple[str, str]) -> Path:
        text = SMALL
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "small.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a finished study `small`, promoted to `digits` as it is; tests only read it, or add under other names."""
    shell = Shell(tmp_path_factory.mktemp("recorded für alle"))  # a path as people have them
    (shell.folder / "small.toml").write_text(SMALL)
    done = shell("search", "small.toml", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    done = shell("promote", "small", "--to", "digits", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    return shell


@pytest.fixture
def copy(recorded: Shell, tailor: Shell) -> Shell:
    """The finished study `small` in a folder of a test's own, to go on with or to break."""
    copy_study(recorded.folder, tailor.folder)
    return tailor


@pytest.fixture
def own(copy: Shell) -> OwnProcess:
    """The copied study, each command in a new process: MLflow's client keeps the places of runs, which the copies share."""
    return OwnProcess(copy.folder)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that holds the real Fashion-MNIST."""
    folder = os.environ.get("TAILOR_DATA")
    if not folder or not (Path(folder) / "fashion-mnist").is_dir():
        pytest.skip("TAILOR_DATA names no folder with fashion-mnist/ in it")
    return Path(folder).resolve()
