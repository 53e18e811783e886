"""Exports: what other people's clients get of a model is what Keras gets of it, and the folder is whole or as it was."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import OwnProcess, Shell
from searches import client, copy_study
from test_own_model import OWN

import tailor as public
from tailor.experiments.errors import InputError, RunError
from tailor.experiments.export import convert
from tailor.experiments.export.agreement import Agreement, compare, require
from tailor.experiments.export.folder import draft, list_files
from tailor.experiments.export.formats import FORMATS, find_format
from tailor.experiments.export.sample import draw_sample
from tailor.experiments.registry.register import process_uri
from tailor.experiments.registry.versions import DIGEST
from tailor.experiments.trials.saved_model import SavedModel
from tailor.models import factory
from tailor.models.ensemble import average
from tailor.models.references import load_file

RAW = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")


def run_onnx(folder: Path) -> np.ndarray:
    session = pytest.importorskip("onnxruntime").InferenceSession(folder / "model.onnx")
    return session.run(None, {"images": RAW})[0]


def run_litert(folder: Path) -> np.ndarray:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(folder / "model.tflite"))
    return interpreter.get_signature_runner()(images=RAW)["output_0"]


def run_savedmodel(folder: Path) -> np.ndarray:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "saved_model"))
    return loaded.serve(tf.constant(RAW)).numpy()


def need(form: str) -> None:
    """Skip if the packages of a format are not installed."""
    for package in FORMATS[form].packages:
        pytest.importorskip(package, reason=f"needs {package} (pip install -e '.[{FORMATS[form].extra}]')")


CLIENTS: dict[str, Callable[[Path], np.ndarray]] = {"onnx": run_onnx, "litert": run_litert, "savedmodel": run_savedmodel}


@pytest.mark.parametrize("form", [pytest.param("litert", marks=pytest.mark.slow), "onnx", "savedmodel"])
def test_other_clients_get_what_keras_gets(recorded: Shell, tmp_path: Path, form: str) -> None:
    need(form)
    done = recorded("export", "digits", "--format", form, "-o", str(tmp_path / "got"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    about = json.loads(done.stdout)
    folder = Path(about.pop("folder"))
    expected = public.predict("digits", RAW, store=recorded.folder / "mlruns")
    assert CLIENTS[form](folder) == pytest.approx(expected, abs=1e-5)
    assert json.loads((folder / "export.json").read_text()) == about
    assert json.loads((folder / "labels.json").read_text()) == list("0123456789")
    assert about["input"]["dtype"] == "uint8" and about["input"]["shape"] == [None, 8, 8, 1]
    assert about["agreement"]["images"] == 180 and about["agreement"]["same_top_class"] == 1
    assert {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in about["files"]} == about["files"]
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {*about["files"], "export.json"}
    version = client(recorded.folder).get_model_version_by_alias("digits", "champion")
    assert version.tags["tailor.sha256"] == about["model_sha256"]
    assert json.loads(version.tags[f"tailor.export.{form}"]) == about["agreement"] | {"when": about["when"]}


@pytest.mark.slow
def test_int8_is_calibrated_and_says_how_often_it_agrees(recorded: Shell, tmp_path: Path) -> None:
    need("litert")
    done = recorded("export", "digits", "--format", "litert", "--int8", "-o", str(tmp_path / "got"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "same top class on 100.0% of 180 holdout images" in done.stdout
    about = json.loads((tmp_path / "got" / "export.json").read_text())
    assert about["calibration_images"] == 200 and about["agreement"]["largest_difference"] > 1e-4  # it is rounded
    expected = public.predict("digits", RAW, store=recorded.folder / "mlruns")
    assert run_litert(tmp_path / "got") == pytest.approx(expected, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_converters_print_nothing_on_the_screen(recorded: Shell, tailor_process: OwnProcess, form: str) -> None:
    need(form)
    copy_study(recorded.folder, tailor_process.folder)
    done = tailor_process("export", "digits", "--format", form)
    assert (done.returncode, done.stderr.removeprefix("exporting digits …\n")) == (0, "")  # Tailor's own sign of life
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["digits", "takes", "returns", "agrees"]
    assert (tailor_process.folder / f"digits-1-{form}" / FORMATS[form].file).exists()


def test_an_export_replaces_nothing_unless_forced(recorded: Shell, tmp_path: Path) -> None:
    need("onnx")
    folder = tmp_path / "got"
    store = recorded.folder / "mlruns"
    done = public.export("digits", "savedmodel", folder, store=store)
    assert done.agreement is not None and done.agreement.largest_difference < 1e-5
    (folder / "mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refused = recorded("export", "digits", "--format", "onnx", "-o", str(folder))
    assert (
        refused.returncode == 2 and "is not empty; name a new folder, or replace the export in it with --force" in refused.stderr
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    done = public.export("digits", "onnx", folder, force=True, store=store)
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left == {"model.onnx", "labels.json", "card.md", "export.json", "mine.txt"}
    assert not (folder / "saved_model").exists()
    public.export("digits", "onnx", folder, force=True, store=store)  # all that it writes is an export's own


@pytest.mark.parametrize(
    ("form", "mine"),
    [
        ("litert", ["Dockerfile", "labels.json"]),
        ("savedmodel", ["export.json", "saved_model/notes.txt"]),
    ],
)
def test_force_replaces_no_file_that_no_export_wrote(recorded: Shell, tmp_path: Path, form: str, mine: list[str]) -> None:
    need(form)
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"files": ["main.py"]}))
    (tmp_path / "main.py").write_text("mine")
    refused = recorded("export", "digits", "--format", form, "-o", str(tmp_path), "--force")
    assert refused.returncode == 2 and f"no export in {tmp_path} lists {' and '.join(mine)} as its own" in refused.stderr
    assert {path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)} == {*mine, "main.py"}
    assert (tmp_path / "main.py").read_text() == "mine"


def test_without_its_data_a_model_is_exported_unchecked_only(recorded: Shell, tmp_path: Path) -> None:
    mlflow = client(recorded.folder)
    champion = mlflow.get_model_version_by_alias("digits", "champion")
    mlflow.create_registered_model("moved-data")
    with process_uri(mlflow.tracking_uri):
        version = mlflow.create_model_version("moved-data", champion.source, tags=champion.tags | {DIGEST: "0" * 64})
    mlflow.set_registered_model_alias("moved-data", "champion", version.version)
    command = ("export", "moved-data", "--format", "savedmodel", "-o", str(tmp_path / "got"))
    done = recorded(*command)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "'digits' now holds other data" in done.stderr and "--unchecked" in done.stderr
    assert not (tmp_path / "got").exists()
    done = recorded(*command, "--unchecked")
    assert done.returncode == 0 and "unchecked: it was not compared with its original" in done.stdout
    assert run_savedmodel(tmp_path / "got").shape == (20, 10)
    assert json.loads((tmp_path / "got" / "export.json").read_text())["agreement"] is None
    assert mlflow.get_model_version("moved-data", version.version).tags == version.tags  # nothing was found to be recorded
    mlflow.delete_registered_model("moved-data")  # the store is other tests' too


def test_it_is_compared_on_holdout_and_calibrated_on_train(recorded: Shell) -> None:
    mlflow = client(recorded.folder)
    from tailor.experiments.planning.resolve import open_data
    from tailor.experiments.tracking.reader import find_study

    study = find_study(mlflow, "small")
    assert study is not None
    splits = open_data(study.read_spec(), None)
    sample = draw_sample(mlflow, mlflow.get_model_version_by_alias("digits", "champion"), None)
    for part, of in ((sample.holdout, splits.holdout), (sample.train, splits.train)):
        assert {image.tobytes() for image in part} <= {image.tobytes() for image in of.images}
    assert len(sample.holdout) == len(splits.holdout) == 180 and len(sample.train) == 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "tflite"), "--format: no such name 'tflite'. Did you mean 'litert'? Known: onnx, litert, savedmodel."),
        (("--format", "savedmodel", "--int8"), "--int8: expected --format litert, got savedmodel"),
    ],
)
def test_options_that_do_not_fit_are_refused(recorded: Shell, arguments: tuple[str, ...], says: str) -> None:
    done = recorded("export", "digits", *arguments)
    assert done.returncode == 2 and says in done.stderr


def test_a_missing_package_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("tf2onnx", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it was not installed
    for package in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, sys)
    with pytest.raises(InputError, match=r"^--format: onnx needs tf2onnx; run: pip install 'tailor-hpo\[onnx\]'$"):
        find_format("onnx")
    with pytest.raises(InputError, match=r"litert needs ai-edge-litert; run: pip install 'tailor-hpo\[litert\]'$"):
        find_format("litert")


def test_what_disagrees_is_not_kept(tmp_path: Path) -> None:
    right = np.eye(10)
    wrong = right[[1, 0, *range(2, 10)]]
    assert compare(right, right) == Agreement(10, 0, 1)
    found = compare(right, wrong)
    assert found == Agreement(10, 1, 0.8)
    with pytest.raises(RunError, match=r"same top class on 80.0% of 10 .* expected the same top class on at least 95%"):
        require(found, int8=True)
    require(Agreement(200, 0.3, 0.95), int8=True)
    require(Agreement(200, 1e-5, 1), int8=False)
    for broken in (np.full((10, 10), np.nan), right + 2e-4):
        with pytest.raises(RunError, match="expected at most 1e-04"):
            require(compare(right, broken), int8=False)
    with pytest.raises(RunError), draft(tmp_path / "got") as place:
        (place / "model.onnx").write_bytes(b"x")
        raise RunError("it disagrees")
    assert not (tmp_path / "got").exists()


USUAL = {"activation": "gelu", "batch_norm": True, "dropout": 0.3}
BUILT = [
    (name, {key: value for key, value in values.items() if key in (factory.resolve(name).defaults or ())})
    for name in factory.BUILT_IN
    for values in ({}, USUAL)
]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("name", "values"), [*BUILT, ("average", {}), ("custom layer", {})])
def test_every_kind_of_model_agrees(tmp_path: Path, name: str, values: dict[str, object], form: str) -> None:
    need(form)
    source = None
    if name == "custom layer":
        source = tmp_path / "mine.py"
        source.write_text(OWN)
        model = load_file(source).build({"width": 16}, (8, 8, 1), 10)
    elif name == "average":
        mlp = factory.resolve("mlp")
        model = average([mlp({}, (8, 8, 1), 10), mlp({}, (8, 8, 1), 10)], [2, 1])
    else:
        model = factory.resolve(name)(values, (8, 8, 1), 10)
    model.save(tmp_path / "model.keras")
    digests = [path and hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "model.keras", source)]
    saved = SavedModel(tmp_path / "model.keras", str(digests[0]), source, digests[1])
    path = tmp_path / FORMATS[form].file
    convert.write(saved, FORMATS[form], path)
    _, output, probabilities = convert.run(FORMATS[form], path, np.concatenate([RAW] * 3))  # more than it runs at once
    assert output.shape == (None, 10)
    expected = model.predict(RAW, verbose=0)
    require(compare(np.concatenate([expected] * 3), probabilities), int8=False)
    if name != "custom layer":
        assert CLIENTS[form](tmp_path) == pytest.approx(expected, abs=1e-5)  # it takes uint8, as the built-in factories do
