"""What stands around a process of ours, and must not change what it does: files beside the study, variables, files at home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dask
import matplotlib
import pytest
from conftest import ROOT, Shell

from tailor.experiments.cli import run
from tailor.experiments.system.environment import inherit_settings
from tailor.experiments.system.import_path import find_shadows, prefer_installed
from tailor.experiments.tracking import curves
from tailor.experiments.workers import dask_settings

HOSTILE = "raise SystemExit(f'{__file__} was imported')"
FILES = ("queue.py", "random.py", "keras.py", "models.py")
# What a process of ours is, by each of the ways in which it starts.
PROBE = """
import os, queue, random, sys

def look():
    import keras
    from tensorflow.python.util import _pywrap_util_port

    config = [keras.config.backend(), keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon()]
    limits = [keras.config.max_epochs(), keras.config.max_steps_per_epoch()]
    return config, limits, bool(_pywrap_util_port.IsMklEnabled()), os.environ.get("TF_XLA_FLAGS"), sys.path[-1]
"""
SCRIPT = """
import json, os
from tailor.experiments.system.import_path import prefer_installed

with prefer_installed():
    from tailor.experiments.system.forkserver import loading
    from tailor.experiments.trials.evaluator import Evaluator
    import probe

    before = dict(os.environ)
    with loading(), Evaluator(threads=1) as process:
        print(json.dumps(process.call(probe.look)))
    assert dict(os.environ) == before
"""


def write_hostile(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text(HOSTILE)


def test_processes_are_tensorflows_whatever_lies_beside_them_and_is_set(tmp_path: Path) -> None:
    write_hostile(tmp_path)
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "script.py").write_text(SCRIPT)
    home = tmp_path / "home"
    home.mkdir()
    settings = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (home / "keras.json").write_text(json.dumps(settings))
    hostile = {
        "KERAS_HOME": str(home),
        "KERAS_BACKEND": "jax",
        "KERAS_MAX_STEPS_PER_EPOCH": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
        "PYTHONPATH": ":",
    }
    command = [sys.executable, "script.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **hostile}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0 and "was imported" not in done.stderr, done.stderr
    wanted = [["tensorflow", "channels_last", "float32", 1e-7], [None, None], True, None, str(tmp_path)]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [wanted]


@pytest.mark.parametrize("own", ["", "here"])
def test_the_users_folder_is_last_for_a_while(own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = own and str(tmp_path)
    before = [entry, *sys.path]
    monkeypatch.setattr(sys, "path", list(before))
    with prefer_installed():
        assert sys.path[-1] == entry and sorted(sys.path) == sorted(before)
        sys.path.insert(0, "/added")
    assert sys.path == [*before, "/added"]


def test_children_inherit_what_the_host_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SET", "theirs")
    monkeypatch.setenv("GONE", "theirs")
    monkeypatch.setenv("PYTHONPATH", f":/elsewhere:.:{tmp_path}")
    before = dict(os.environ)
    with inherit_settings({"SET": "ours", "GONE": None, "NEW": "ours"}):
        inside = subprocess.run(
            [sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, text=True, check=True
        )
        assert (os.environ["SET"], os.environ["NEW"], os.environ["PYTHONPATH"]) == ("ours", "ours", "/elsewhere")
        assert "GONE" not in os.environ and "'GONE'" not in inside.stdout
    assert dict(os.environ) == before


def test_dasks_settings_are_ours_for_workers_of_our_own_alone() -> None:
    theirs = {"distributed.comm.require-encryption": True, "distributed.worker.lifetime.duration": "1s", "scheduler-address": "x"}
    with dask.config.set(theirs):
        with dask_settings.prepare(own=True):
            found = [dask.config.get(name) for name in theirs]
            assert found == [None, None, None] and dask.config.get("distributed.scheduler.allowed-failures") == 0
            assert dask.config.get("distributed.comm.default-scheme") == "tcp"
        with dask_settings.prepare(own=False):  # the way to somebody's scheduler
            assert dask.config.get("distributed.comm.require-encryption") is True
        assert [dask.config.get(name) for name in theirs] == list(theirs.values())


def test_pictures_are_drawn_whatever_a_matplotlibrc_says() -> None:
    history = [{"train_loss": 1.0, "val_loss": 1.0, "train_accuracy": 0.5, "val_accuracy": 0.5}]
    curves._lay_out.cache_clear()
    plain = curves.draw_learning_curves(history, 1)
    curves._lay_out.cache_clear()
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red"}):
        assert curves.draw_learning_curves(history, 1) == plain


def test_doctor_names_the_files_that_scripts_here_would_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_hostile(tmp_path)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").touch()
    (tmp_path / "optuna").mkdir()  # a folder of data
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry).resolve() != ROOT])  # `python -m pytest` adds it
    assert find_shadows(tmp_path) == ["keras.py", "mlflow", "queue.py", "random.py"]
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.count("WARN ") == 4
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"][0].startswith("keras.py in the current folder")


HOST = """
import tailor

for call in (
    lambda: tailor.load("got"),
    lambda: tailor.run("quickstart", settings={"search.engine": "keras-tuner"}, store="s", quiet=True),
):
    try:
        call()
    except tailor.ModelError as error:
        print(error)
"""


def test_a_host_whose_keras_is_not_tensorflows_is_refused(recorded: Shell, tmp_path: Path) -> None:
    assert recorded("pull", "digits", "-o", str(tmp_path / "got")).returncode == 0
    (tmp_path / "host.py").write_text(HOST)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "host.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("KERAS_BACKEND: ") for line in lines), done
    assert all("set KERAS_BACKEND=tensorflow before Keras is first imported" in line for line in lines)
    assert not (tmp_path / "s").exists()


def test_warnings_that_the_shell_makes_errors_end_no_command(tmp_path: Path) -> None:
    script = (
        "import sys, warnings; from tailor.experiments.cli import run; run(['--version'])\n"
        "warnings.warn('a library says this'); print(sys.warnoptions)"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


@pytest.mark.slow
def test_nothing_of_tensorflows_stays_in_the_folder_of_temporary_files(
    tailor: Shell, write_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    write_study()
    rest = tmp_path_factory.mktemp("rest")
    for words in (
        ("search", "small.toml", "--workers", "1"),
        ("promote", "small", "--to", "digits", "--quick"),
        ("check", "small.toml"),
    ):
        done = tailor(*words, TMPDIR=str(rest))
        assert done.returncode == 0, done.stderr
    assert {path.name for path in rest.iterdir()} <= {"dask-scratch-space"}  # Dask keeps it


def test_what_workers_are_forked_from_loads_parts_of_keras_only_when_they_are_used() -> None:
    code = """
import inspect, sys
from concurrent.futures import ThreadPoolExecutor
import tailor.experiments.workers.preload
import keras
inspect.stack()
loaded = {"sklearn", "matplotlib.pyplot"} & set(sys.modules)
with ThreadPoolExecutor(4) as pool:  # a factory may run in several threads
    used = set(pool.map(lambda _: keras.wrappers.SKLearnClassifier.__module__, range(4)))
shown = callable(keras.visualization.plot_image_gallery)
print(sorted(loaded), used, shown, sorted({"sklearn", "matplotlib.pyplot"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] {'keras.src.wrappers.sklearn_wrapper'} True ['matplotlib.pyplot', 'sklearn']"
