"""README and tutorial as a newcomer reads them: every file, command and line of Python in them, in their order."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shells import OwnProcess

ROOT = Path(__file__).resolve().parents[1]
README, TUTORIAL = ROOT / "README.md", ROOT / "docs" / "tutorial.md"


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks of code in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The arguments of each `tailor` command of the page's shell blocks."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("tailor ")]


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.slow
def test_the_readme_runs_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs" / "pictures" / "digit.png", tmp_path)
    study, data, hyper_model = blocks(README, "toml")
    (tmp_path / "digits.toml").write_text(study)
    tailor = OwnProcess(tmp_path)
    for command in (given := commands(README)):
        done = tailor(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert [command[0] for command in given] == ["search", "promote", "predict"]

    used, factory = blocks(README, "python")
    script = "import numpy as np\nimages = np.zeros((2, 8, 8, 1), np.uint8)\n" + used + "assert probabilities.shape == (2, 10)\n"
    said = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr

    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(factory)
    own = study.replace('"mlp"', '"nets/mine.py:build"').replace("units_1", "width")
    (tmp_path / "own.toml").write_text(own)
    (tmp_path / "nets" / "tuned.py").write_text(
        "import keras, keras_tuner\n"
        "class MyHyperModel(keras_tuner.HyperModel):\n"
        "    def build(self, hp):\n"
        "        layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]\n"
        "        layers += [keras.layers.Dense(hp.Int('units', 8, 64)), keras.layers.Dense(10, 'softmax')]\n"
        "        model = keras.Sequential(layers)\n"
        "        model.compile('adam', 'sparse_categorical_crossentropy')\n"
        "        return model\n"
    )
    (tmp_path / "tuned.toml").write_text(study.partition("[space]")[0].replace('model = "mlp"', hyper_model))
    (tmp_path / "photos").mkdir()
    for name in ("own", "tuned"):
        done = tailor("check", f"{name}.toml")
        assert done.returncode == 0, done.stderr
    (tmp_path / "photos.toml").write_text(study.replace('dataset = "digits"', data))
    assert "photos" in tailor("check", "photos.toml").stderr  # it is empty, and named


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path: Path, data_dir: Path) -> None:
    tailor = OwnProcess(tmp_path)
    for command in (given := commands(TUTORIAL)):
        done = tailor(*command, TAILOR_DATA=str(data_dir))
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert [command[0] for command in given][:3] == ["check", "search", "status"]
    assert (tmp_path / "got" / "model.keras").is_file()
