"""`tailor serve DIR`: an export's folder, without a store, TensorFlow and MLflow; and the image that its Dockerfile makes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Shell
from servers import tailor_serve

from tailor import export, predict
from tailor.experiments.errors import InputError
from tailor.experiments.export.image import name_image
from tailor.experiments.serving import server
from tailor.experiments.serving.exported import is_folder, load_exported

ROOT = Path(__file__).resolve().parents[2]
RAW = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")
FILES = {"model.tflite": b"no model", "labels.json": b"[]", "card.md": b""}


def write_folder(folder: Path, **about: Any) -> Path:
    """An export as it lies on the disk, but for the model in it."""
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    written = {"name": "digits", "version": "1", "format": "litert", "input": {"shape": [None, 8, 8, 1]}, "looks": None}
    (folder / "export.json").write_text(json.dumps(written | {"files": files} | about))
    return folder


def test_a_folder_that_is_no_export_for_litert_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for folder, said in (
        (tmp_path, "has no export.json, so it is no export; write one with `tailor export NAME --format litert"),
        (write_folder(tmp_path / "onnx", format="onnx"), "holds onnx, which a server without TensorFlow cannot run"),
        (write_folder(tmp_path / "old", files={}), "is not as it was exported"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            load_exported(folder)
    changed = write_folder(tmp_path / "changed")
    (changed / "model.tflite").write_bytes(b"another model")
    with pytest.raises(InputError, match=r"model\.tflite is not as it was exported \(its SHA-256 differs\)"):
        load_exported(changed)
    (changed / "labels.json").unlink()
    (changed / "model.tflite").write_bytes(FILES["model.tflite"])
    with pytest.raises(InputError, match=r"labels\.json cannot be read"):
        load_exported(changed)
    for text, said in (("{", "is damaged"), ("[]", "is of an earlier Tailor or damaged"), ('{"name": "x"}', "is of an earlier")):
        (changed / "export.json").write_text(text)
        with pytest.raises(InputError, match=said):
            load_exported(changed)


def test_a_folder_is_told_from_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "fashion")
    write_folder(tmp_path / "digits@challenger")
    (tmp_path / "me@home").mkdir()
    write_folder(tmp_path / "me@home" / "fashion")
    (tmp_path / "digits").mkdir()
    for text in ("fashion", "./digits", str(tmp_path), "me@home/fashion"):
        assert is_folder(text), text
    for text in ("digits", "digits/1", "digits@challenger"):
        assert not is_folder(text), text


def test_a_folder_that_has_a_registered_models_name_is_told_apart(tailor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tailor.folder / "digits", format="onnx")
    other = "If you mean the registered model: `tailor serve digits@champion`."
    done = tailor("serve", "digits")
    assert done.returncode == 2 and "digits holds onnx" in done.stderr and done.stderr.endswith(f" {other}\n")
    assert other not in tailor("serve", str(tailor.folder / "digits")).stderr  # no name
    done = tailor("serve", "digits@champion")
    assert done.returncode == 2 and "--store: there is no study" in done.stderr  # it looked for the registry

    write_folder(tailor.folder / "shoes")
    monkeypatch.setattr(server, "serve", lambda application, host, port, workers, ready: ready())
    assert tailor("serve", "shoes").stdout.startswith("digits version 1, from the folder shoes: http://127.0.0.1:8000\n")


def test_the_command_refuses_it_in_one_line(tailor: Shell) -> None:
    done = tailor("serve", "./nothing")
    assert done.returncode == 2 and done.stderr.startswith("tailor: NAME: nothing has no export.json"), done.stderr
    assert "registered model" not in done.stderr + tailor("serve", "..").stderr


def test_an_empty_host_is_refused(tailor: Shell) -> None:
    """It would be every address of this machine."""
    done = tailor("serve", "./nothing", "--host", "")
    assert done.returncode == 2
    assert done.stderr == "tailor: --host: expected an address or a name of this machine, such as 127.0.0.1, got ''.\n"


@pytest.mark.parametrize(("host", "shown"), [("münchen..local", "münchen..local"), ("nobody\udcff", r"nobody\xff")])
def test_a_host_that_is_no_name_is_refused_in_one_line(tailor: Shell, host: str, shown: str) -> None:
    """The second is how Python reads a byte that is not UTF-8."""
    write_folder(tailor.folder / "digits")
    done = tailor("serve", "./digits", "--host", host)
    said = f"--host: {shown} is not a host name; name an address of this machine."
    assert (done.returncode, done.stderr) == (2, f"tailor: {said}\n")


@pytest.mark.parametrize(("name", "image"), [("St. Gallen", "st-gallen"), ("digits_v2.", "digits-v2"), ("数字", "model")])
def test_an_image_has_a_name_that_docker_takes(name: str, image: str) -> None:
    assert name_image(name) == image


@pytest.mark.slow
def test_the_image_of_its_dockerfile_answers_as_the_registered_model(recorded: Shell, tmp_path: Path) -> None:
    """Docker's layers made by hand: a fresh environment, the lines of the Dockerfile, and its command."""
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert (pip install -e '.[litert]')")
    context = tmp_path / "context"
    export("digits", "litert", context, store=recorded.folder / "mlruns")
    predicted = predict("digits", RAW, store=recorded.folder / "mlruns")
    assert load_exported(context).predict(RAW) == pytest.approx(predicted, abs=1e-5)

    subprocess.run([sys.executable, "-m", "build", "--outdir", context, ROOT], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    image = tmp_path / "served"
    image.mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path / 'env' / 'bin'}:{os.environ['PATH']}", "PIP_NO_CACHE_DIR": "0"}
    command: list[str] = []
    for line in (context / "Dockerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "RUN":
            subprocess.run(shlex.split(rest.replace("--no-cache-dir", "")), cwd=image, env=environment, check=True, timeout=250)
        elif word == "COPY" and rest == ". model/":
            shutil.copytree(context, image / "model")
        elif word == "COPY":
            shutil.copy(context / rest.removesuffix(" ."), image)
        elif word == "CMD":
            command = json.loads(rest)
    installed = {path.name for path in (tmp_path / "env").glob("lib/*/site-packages/*")}
    assert "ai_edge_litert" in installed and not installed & {"tensorflow", "mlflow", "keras", "optuna", "distributed"}
    assert command[:3] == ["tailor", "serve", "./model"]
    with tailor_serve(image, command[2], program=tmp_path / "env" / "bin" / "tailor") as address:
        body = json.dumps({"instances": RAW.tolist()}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{address}/invocations", body), timeout=60) as answer:
            assert np.asarray(json.load(answer)["predictions"]) == pytest.approx(predicted, abs=1e-5)
        digit = (ROOT / "docs" / "pictures" / "digit.png").read_bytes()
        with urllib.request.urlopen(urllib.request.Request(f"{address}/predict", digit), timeout=60) as answer:
            assert json.load(answer)["classes"][0]["label"] == "3"
