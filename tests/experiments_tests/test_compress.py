"""`tailor compress`: what is chosen, what is registered with which lineage, and that nothing is registered by half."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Shell
from searches import client, runs

import tailor as public
from tailor.experiments.compression import compress as room
from tailor.experiments.compression.records import Asked, Cost, Row, choose, name_int8
from tailor.experiments.compression.source import find_last_epoch
from tailor.experiments.errors import InputError, RunError
from tailor.models.training.pruning import measure_sparsity

ONE = ("compress", "digits", "--prune", "0.5", "--epochs", "1")


def row(name: str, accuracy: float, size: int, base: str = "") -> Row:
    return Row(name, base or name, "TensorFlow", accuracy, size, size, Cost(1, 2, 3), 0.0, 10)


def test_the_smallest_within_the_tolerance_is_chosen() -> None:
    rows = [row("original", 0.90, 100), row("a", 0.895, 50), row("b", 0.891, 20), row("c", 0.85, 5), row("d", 0.95, 120)]
    several = Asked(prune=(0.5, 0.8))
    assert choose(rows, several) == rows[2]
    assert choose(rows, replace(several, tolerance=0.6)) == rows[1]
    assert choose(rows, replace(several, tolerance=10.0)) == rows[3]
    assert choose([rows[0], rows[3], rows[4]], several) is None  # one too bad, one no smaller
    assert choose([rows[0], rows[3]], Asked(prune=(0.5,))) == rows[3]  # what was asked for
    assert choose([rows[0], rows[3]], Asked(prune=(0.5,), tolerance=1.0)) is None
    assert choose([rows[0], rows[3]], several) is None  # what is left of two
    forms = [*rows, row("a int8", 0.893, 40, "a"), row("d int8", 0.92, 45, "d")]
    assert choose(forms, replace(several, int8=True)) == forms[5]
    assert choose(forms[:6], Asked(prune=(0.5,), int8=True)) == forms[5]  # its float32 form is there to compare
    assert (name_int8("original"), name_int8("pruned 80 %")) == ("int8", "pruned 80 % int8")


def test_the_last_epoch_is_the_one_at_which_the_trial_ended_also_of_what_was_compressed(recorded: Shell) -> None:
    mlflow, run = client(recorded.folder), runs(recorded.folder)[1][0]
    ended = max(one.step for one in mlflow.get_metric_history(run.info.run_id, "val_loss"))
    assert find_last_epoch(mlflow, run.info.run_id, {"epochs": 99}) == ended < 99
    assert find_last_epoch(mlflow, run.info.run_id, {"epochs": 99, "trained": 50}) == 50


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prune": None}, r"prune: expected shares in a tuple, such as \(0\.8,\), got None"),
        ({"prune": 0.8}, "prune: expected shares in a tuple"),
        ({"prune": ("0.8",)}, "--prune: expected a number, got"),
        ({"prune": np.array([1.5])}, "--prune: expected a share of weights above 0 and below 1"),
        ({"epochs": "3"}, "--epochs: expected a whole number, got '3'"),
        ({"distil": 3}, "--distil: expected a text, got 3"),
        ({"student": "units=3"}, "student: expected a mapping, such as"),
        ({"student": (3,), "distil": "mlp"}, "--student: expected a text, got"),
        ({"student": {"unit": 3}, "distil": "mlp"}, r"--student \(a hyperparameter of mlp\)"),
        ({"student": {"units": True}, "distil": "mlp"}, "--student units: expected a whole number, as its default"),
    ],
)
def test_an_option_of_a_wrong_kind_is_named_from_python(recorded: Shell, options: dict[str, object], said: str) -> None:
    with pytest.raises((InputError, public.StudyError), match=said):
        public.compress("digits", store=recorded.folder / "mlruns", quiet=True, dry_run=True, **options)


STEEP = """
[study]
name = "steep"
dataset = "digits"
model = "mlp"
objective = "val_accuracy"
direction = "maximize"

[search]
trials = 1
max_epochs = 1

[training]
learning_rate = 0.05
weight_decay = 1.0
"""


def test_a_variant_that_diverges_is_left_out_or_one_line_of_error(tailor: Shell) -> None:
    """At a thousand times the rate, each step's decay makes the weights 49 times as large."""
    (tailor.folder / "steep.toml").write_text(STEEP, encoding="utf-8")
    assert tailor("search", "steep.toml").returncode == 0
    assert tailor("promote", "steep", "--to", "steep", "--quick").returncode == 0
    steep = ("--rate", "1000", "--epochs", "1", "--dry-run")
    done = tailor("compress", "steep", "--prune", "0.5", "--distil", "mlp", *steep)
    assert done.returncode in (0, 4), done.stderr
    assert "without pruned 50 %: the loss is no number in epoch 1; lower --rate" in done.stdout
    assert "measuring distilled mlp" in done.stdout
    alone = tailor("compress", "steep", "--prune", "0.5", *steep)
    assert alone.returncode == 1
    assert alone.stderr == "tailor: pruned 50 %: the loss is no number in epoch 1; lower --rate\n"


def test_a_label_tells_what_was_asked_for_and_of_what() -> None:
    labels = {Asked().label("a", "d"), Asked().label("b", "d"), Asked().label("a", "e"), Asked(seed=1).label("a", "d")}
    assert len(labels) == 4 and Asked(prune=(0.5,)).label("a", "d") == Asked(prune=(0.5,)).label("a", "d")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--prune", "1.5"), "--prune: expected a share of weights above 0 and below 1, such as 0.8, got 1.5."),
        (("--tolerance", "-1"), "--tolerance: expected a number from 0 to 100, got -1."),
        (("--alpha", "2"), "--alpha: expected the share of the soft targets, from 0 to 1, got 2."),
        (("--prune", "0.5", "--seed", "-1"), "--seed: expected a whole number from 0 to 2147483647, got -1."),
        (("--prune", "0.5", "--student", "units=3"), "--student: it belongs to --distil FACTORY; add that."),
        (("--distil", "mpl"), "--distil: expected one of mlp, cnn, resnet, separable, transfer, or STUDY:TRIAL"),
        (("--distil", "small:99"), "study 'small' has no trial 99"),
        (("--distil", "mlp", "--student", "units"), "--student: expected KEY=VALUE, such as filters=8, got 'units'."),
        (("--distil", "mlp", "--student", "units=big"), "--student units: expected a whole number, as its default"),
        (("--distil", "mlp", "--student", "unit=8"), "--student (a hyperparameter of mlp)"),
        (("--distil", "cnn", "--student", "filters=0"), "images of 8 × 8 × 1, got cnn with blocks 2, filters 0: ValueError: "),
        (("--distil", "mlp", "--student", "activation=nonsense"), "--student: expected values that a net can be built with"),
        (
            ("--distil", "transfer", "--student", "backbone=Mobile"),
            "transfer with backbone Mobile: training.backbone: expected",
        ),
    ],
)
def test_wrong_input_is_refused_before_anything_is_made(recorded: Shell, options: tuple[str, ...], said: str) -> None:
    done = recorded("compress", "digits", *options)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert "measuring" not in done.stdout


def test_without_litert_int8_is_one_line_with_the_command(recorded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = recorded("compress", "digits", "--int8")
    assert done.returncode == 2
    assert "--int8: litert needs ai-edge-litert; run: pip install 'tailor-hpo[litert]'" in done.stderr


def test_a_killed_promotion_is_finished_and_the_champion_stays(
    copy: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise RunError("killed before the promotion")

    with monkeypatch.context() as patch:
        patch.setattr(room, "promote", die)
        died = copy(*ONE)
    assert died.returncode == 1 and died.stderr.strip().endswith("tailor: killed before the promotion")
    mlflow = client(copy.folder)
    assert len(mlflow.search_model_versions("name = 'digits'")) == 1  # nothing by half
    seen = {"tailor.trained_on_holdout": "true", "tailor.trials": "[0, 1]"}
    for key, value in seen.items():
        mlflow.set_model_version_tag("digits", "1", key, value)
    done = copy(*ONE)
    assert done.returncode == 0, done.stderr
    assert "the same compression was made before" in done.stdout and "pruned 50 % *" in done.stdout
    model = mlflow.get_registered_model("digits")
    assert model.aliases == {"champion": 1, "challenger": 2}
    version, original = mlflow.get_model_version("digits", "2"), mlflow.get_model_version("digits", "1")
    tags = version.tags
    assert tags["tailor.compressed_from"] == "digits/1" and tags["tailor.compressed_from_run"] == original.run_id
    assert tags["tailor.compressed_from_sha256"] == original.tags["tailor.sha256"]
    assert tags["tailor.outcome"] == "challenger" and "compression.png" in version.description
    assert tags.items() >= seen.items() and "its original was trained on it" in version.description
    run = mlflow.get_run(version.run_id)
    assert (run.info.status, run.data.tags["tailor.kind"]) == ("FINISHED", "compression")
    place = Path(mlflow.download_artifacts(version.run_id, "", str(tmp_path)))
    assert (place / "compression.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((place / "compression.json").read_text())["rows"]
    assert [one["name"] for one in rows] == ["original", "pruned 50 %"]
    assert rows[1]["gzip_bytes"] < 0.8 * rows[0]["gzip_bytes"] and rows[1]["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert all(0 < one["cost"]["p50_ms"] <= one["cost"]["p99_ms"] and one["cost"]["peak_mb"] > 50 for one in rows)

    pulled = copy("pull", "digits@challenger", "-o", "got")
    assert pulled.returncode == 0 and not (copy.folder / "got" / "model_int8.tflite").exists()
    net = keras.saving.load_model(copy.folder / "got" / "model.keras", compile=False)
    assert measure_sparsity(net) == pytest.approx(0.5, abs=0.01)

    again = copy(*ONE)
    assert again.returncode == 0 and "registered already" in again.stdout
    assert len(mlflow.search_model_versions("name = 'digits'")) == 2


@pytest.mark.slow
def test_a_better_student_under_a_new_name_and_the_next_stays_challenger(copy: Shell) -> None:
    """A net that beats the champion, which was cut to nearly nothing, takes no alias of it."""
    weak = public.compress("digits", prune=(0.99,), epochs=1, to="tiny", store=copy.folder / "mlruns", quiet=True)
    assert weak.found.chosen is not None and weak.found.chosen.name == "pruned 99 %" and weak.promotion is not None
    assert client(copy.folder).get_registered_model("tiny").aliases == {"champion": 1}  # the first of that name
    with pytest.raises(InputError, match="there is no registered model 'nobody'"):
        public.compress("nobody", store=copy.folder / "mlruns", quiet=True)
    done = copy("compress", "digits", "--distil", "mlp", "--student", "units=48", "--epochs", "4", "--to", "tiny")
    assert done.returncode == 0, done.stderr
    assert "it is shown to be better than the champion; it stays challenger, as every compressed model does" in done.stdout
    assert client(copy.folder).get_registered_model("tiny").aliases == {"champion": 1, "challenger": 2}
    once_more = copy("compress", "tiny@challenger", "--prune", "0.3", "--epochs", "1", "--dry-run")  # from a student's own record
    assert once_more.returncode == 0 and "A dry run" in once_more.stdout
    assert len(client(copy.folder).search_model_versions("name = 'tiny'")) == 2


@pytest.mark.slow
def test_the_8_bit_form_travels_with_the_version(copy: Shell) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    done = copy("compress", "digits", "--int8")
    assert done.returncode == 0, done.stderr
    assert "int8 *" in done.stdout and "beside it lies model_int8.tflite" in done.stdout
    assert copy("pull", "digits@challenger", "-o", "got").returncode == 0
    folder = copy.folder / "got"
    data = (folder / "model_int8.tflite").read_bytes()
    assert client(copy.folder).get_model_version("digits", "2").tags["tailor.int8_sha256"] == hashlib.sha256(data).hexdigest()
    assert f"{hashlib.sha256(data).hexdigest()}  model_int8.tflite" in (folder / "SHA256SUMS").read_text()
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")
    expected = keras.saving.load_model(folder / "model.keras", compile=False).predict(images, verbose=0)
    found = interpreter(model_content=data).get_signature_runner()(images=images)["output_0"]
    assert found == pytest.approx(expected, abs=0.2)
    for path in (copy.folder / "mlruns").rglob("model_int8.tflite"):
        path.write_bytes(data + b"\0")
    broken = copy("pull", "digits@challenger", "-o", "other")
    assert broken.returncode == 2 and "the file was changed" in broken.stderr
