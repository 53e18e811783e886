"""Promote, pull, predict: from a study to a model that a plain script uses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Shell
from files import as_registered
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from searches import copy_study

from tailor.experiments.errors import InputError
from tailor.experiments.registry.pull import pull
from tailor.experiments.registry.register import process_uri
from tailor.experiments.registry.versions import find_champion, find_version, read_input_shape

DIGIT = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "digit.png"
PLAIN = """
import mlflow, sys
from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.splits import split
from tailor.search.study.spec import DataPlan
test = split(open_dataset("digits", None), DataPlan()).test
for flavor in (mlflow.pyfunc, mlflow.tensorflow):
    answer = flavor.load_model("models:/digits@champion").predict(test.images)
    print("accuracy", (answer.argmax(axis=1) == test.labels).mean())
"""


@pytest.fixture(scope="module")
def recorded(recorded: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A copy of the finished study: these tests promote a worse one to its name."""
    shell = Shell(tmp_path_factory.mktemp("promoted für alle"))
    copy_study(recorded.folder, shell.folder)
    return shell


def client(shell: Shell) -> MlflowClient:
    return MlflowClient(f"sqlite:///{shell.folder / 'mlruns' / 'mlflow.db'}")


def test_a_plain_script_loads_the_champion_and_scores_what_its_card_says(recorded: Shell) -> None:
    version = client(recorded).get_model_version_by_alias("digits", "champion")
    elsewhere = recorded("env", "--store", "an other").stdout.splitlines()[-1]
    assert elsewhere.startswith("# eval \"$(tailor env --store 'an other')\", then: ")
    exports = dict(line.removeprefix("export ").split("=", 1) for line in recorded("env").stdout.splitlines() if "=" in line[:40])
    environment = {k: v.strip("'") for k, v in exports.items()} | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        env={**os.environ, **environment},
        cwd=recorded.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("accuracy")]
    assert scores == pytest.approx([float(version.tags["tailor.test_accuracy"])] * 2)
    assert f"{scores[0]:.4f}" in version.description


def test_promoting_again_registers_nothing_and_leaves_the_test_set_closed(recorded: Shell) -> None:
    mlflow = client(recorded)
    before = len(mlflow.search_model_versions("name = 'digits'"))
    openings = mlflow.get_registered_model("digits").tags["tailor.test_openings"]
    done = recorded("promote", "small", "--to", "digits", "--quick")
    assert done.returncode == 0 and "registered already" in done.stdout
    assert len(mlflow.search_model_versions("name = 'digits'")) == before
    assert mlflow.get_registered_model("digits").tags["tailor.test_openings"] == openings


def test_an_alias_of_ones_own_is_not_taken_for_a_promotions(recorded: Shell) -> None:
    mlflow = client(recorded)
    mlflow.set_registered_model_alias("digits", "a-first-one", "1")
    try:
        done = recorded("promote", "small", "--to", "digits", "--quick")
    finally:
        mlflow.delete_registered_model_alias("digits", "a-first-one")
    assert done.returncode == 0 and "version 1 is champion" in done.stdout


def test_one_that_is_no_better_becomes_challenger(recorded: Shell) -> None:
    shutil.copy(recorded.folder / "small.toml", recorded.folder / "worse.toml")
    worse = ("--name", "worse", "--trials", "1", "--max-epochs", "1", "--set", "space.learning_rate=0.000001", "--workers", "1")
    assert recorded("search", "worse.toml", *worse).returncode == 0
    done = recorded("promote", "worse", "--to", "digits", "--quick")
    assert done.returncode == 3, done.stderr
    mlflow = client(recorded)
    aliases = mlflow.get_registered_model("digits").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "1", "challenger": "2"}
    assert "not shown to be better" in mlflow.get_model_version("digits", "2").tags["tailor.verdict"]
    assert mlflow.get_registered_model("digits").tags["tailor.test_openings"] == "2"
    mlflow.delete_registered_model_alias("digits", "challenger")  # as if another one had become it
    again = recorded("promote", "worse", "--to", "digits", "--quick")
    assert again.returncode == 3 and "version 2 is neither champion nor challenger any more" in again.stdout
    assert "To make it champion:" in again.stdout and 'set_registered_model_alias("digits", "champion", "2")' in again.stdout
    assert "tailor pull digits/2 -o" in again.stdout and "challenger" not in mlflow.get_registered_model("digits").aliases
    mlflow.set_registered_model_alias("digits", "challenger", "2")


def test_pull_gives_the_model_its_labels_preprocessing_and_card(recorded: Shell, tmp_path: Path) -> None:
    done = recorded("pull", "digits@champion", "-o", str(tmp_path / "got"))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "got").iterdir()}
    assert names == {"SHA256SUMS", "card.md", "labels.json", "model.keras", "preprocessing.json"}
    told = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "got", capture_output=True, check=True
    )
    assert told.stdout.count(b": OK") == 4
    assert json.loads((tmp_path / "got" / "labels.json").read_text()) == list("0123456789")
    assert json.loads((tmp_path / "got" / "preprocessing.json").read_text())["shape"] == ["n", 8, 8, 1]
    card = (tmp_path / "got" / "card.md").read_text()
    assert "study `small`" in card and "test (opened once for this name) | 270" in card
    again = recorded("pull", "digits", "-o", str(tmp_path / "got"))
    assert again.returncode == 2 and "is not empty" in again.stderr
    again = recorded("pull", "digits", "-o", str(tmp_path / "got" / "card.md"))
    assert again.returncode == 2 and "card.md cannot be written" in again.stderr and "Traceback" not in again.stderr


def test_a_pull_that_ends_half_way_leaves_nothing(recorded: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "card.md":
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    mlflow = client(recorded)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"got cannot be written .No space left on device.; name another folder, or make room"):
        pull(mlflow, find_version(mlflow, "digits@champion"), tmp_path / "got")
    assert list((tmp_path / "got").iterdir()) == []


def test_predict_prints_classes_with_probabilities(recorded: Shell) -> None:
    done = recorded("predict", "digits", str(DIGIT), "--json", "--top", "10")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert sum(c["probability"] for c in answer["classes"]) == pytest.approx(1, abs=1e-4)
    probabilities = [c["probability"] for c in answer["classes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert answer["classes"][0]["label"] == "3"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("digits", "x.png"), "x.png: there is no such file"),
        (("digits@prod", str(DIGIT)), "'digits' has no alias 'prod'; versions: 1"),
        (("digits/77", str(DIGIT)), "has no version '77'"),
        (("digits/01", str(DIGIT)), "has no version '01'; versions: 1"),
        (("digts", str(DIGIT)), "there is no registered model 'digts'; there are: digits"),
        (("../x", str(DIGIT)), "NAME"),
    ],
)
def test_an_unknown_model_says_which_there_are(recorded: Shell, arguments: tuple[str, ...], says: str) -> None:
    done = recorded("predict", *arguments)
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_version_that_another_tool_registered_is_named() -> None:
    with pytest.raises(InputError, match="by-hand version 1 was not promoted by Tailor"):
        read_input_shape(ModelVersion("by-hand", "1", 0))


def test_a_model_file_that_was_changed_is_refused(recorded: Shell, tmp_path: Path) -> None:
    shutil.copytree(recorded.folder / "mlruns", tmp_path / "mlruns")
    version = client(recorded).get_model_version_by_alias("digits", "champion")
    model_id = version.source.removeprefix("models:/")
    original = recorded.folder / "mlruns/artifacts/small/models" / model_id / "artifacts/data/model.keras"
    kept = original.read_bytes()
    try:
        original.write_bytes(kept + b"x")
        done = recorded("predict", "digits", str(DIGIT))
    finally:
        original.write_bytes(kept)
    assert done.returncode == 2
    assert "not the registered" in done.stderr


def test_a_lambda_layer_and_other_formats_are_refused(tmp_path: Path) -> None:
    import keras

    from tailor.experiments.errors import InputError
    from tailor.experiments.trials.saved_model import load_model

    net = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    net.save(tmp_path / "bad.keras")
    with pytest.raises(InputError, match="Lambda layers are never loaded"):
        load_model(as_registered(tmp_path / "bad.keras"))
    (tmp_path / "old.h5").write_bytes(b"x")
    with pytest.raises(InputError, match=r"only \.keras files are loaded"):
        load_model(as_registered(tmp_path / "old.h5"))


def register_by_hand(mlflow: MlflowClient, name: str, **changes: str) -> ModelVersion:
    """A champion of that name, which is the champion of `digits` but for those tags."""
    first = mlflow.get_model_version_by_alias("digits", "champion")
    logged = mlflow.search_logged_models([mlflow.get_experiment_by_name("small").experiment_id])
    other = next(model for model in logged if f"models:/{model.model_id}" != first.source)
    mlflow.create_registered_model(name)
    tags = {**first.tags, **{f"tailor.{key}": value for key, value in changes.items()}}
    with process_uri(mlflow.tracking_uri):
        version = mlflow.create_model_version(name, f"models:/{other.model_id}", tags=tags)
    mlflow.set_registered_model_alias(name, "champion", version.version)
    return version


def test_a_champion_of_another_data_set_is_not_challenged(copy: Shell) -> None:
    mlflow = client(copy)
    register_by_hand(mlflow, "fashion", dataset_sha256="elsewhere")
    done = copy("promote", "small", "--to", "fashion")
    assert done.returncode == 4
    assert done.stdout.startswith("Refused: the champion of 'fashion', version 1, is of another data set (elsewhere")
    number = mlflow.get_experiment_by_name("small").experiment_id
    assert not mlflow.search_runs([number], "tags.`tailor.kind` = 'candidate'")  # nothing was trained for a sure refusal
    assert len(mlflow.search_model_versions("name = 'fashion'")) == 1
    assert "tailor.test_openings" not in mlflow.get_registered_model("fashion").tags
    done = copy("promote", "small", "--to", "fashion", "--quick", "--force")
    assert done.returncode == 0 and "--force: version 1 is of another data set" in done.stdout
    assert str(find_champion(mlflow, "fashion").version) == "2"


def test_a_tag_that_speaks_of_an_alias_moves_with_it(copy: Shell) -> None:
    mlflow = client(copy)
    register_by_hand(mlflow, "better", dataset_sha256="elsewhere", alias="champion")
    assert copy("promote", "small", "--to", "better", "--quick", "--force").returncode == 0
    tags = [mlflow.get_model_version("better", number).tags.get("tailor.alias") for number in ("1", "2")]
    assert tags == [None, "champion"] and str(mlflow.get_model_version_by_alias("better", "champion").version) == "2"


def test_a_registry_that_does_not_answer_is_an_error_and_not_a_missing_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowException, match=r"127\.0\.0\.1"):
        find_champion(MlflowClient("http://127.0.0.1:1"), "digits")
