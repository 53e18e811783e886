"""What `tailor predict` says about an image: what it changed, and whether it looks unlike the training images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Shell
from PIL import Image

import tailor as public
from tailor.experiments.datasets.folder import read_header
from tailor.experiments.datasets.looks import Looks, find_strangeness, is_inverted, measure_looks
from tailor.experiments.datasets.prepare import Invert, prepare
from tailor.experiments.errors import InputError
from tailor.experiments.registry.forms import read_form
from tailor.experiments.registry.local import read_local_version
from tailor.experiments.store import Store

DIGIT = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "digit.png"


def turned(image: Image.Image) -> Image.Exif:
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    return exif


def test_what_is_changed_about_an_image_is_listed(tmp_path: Path) -> None:
    gray = Image.new("L", (8, 8))
    gray.save(tmp_path / "as_it_is.png")
    Image.new("RGBA", (20, 10)).save(tmp_path / "wide.png")
    photo = Image.new("RGB", (40, 30))
    photo.save(tmp_path / "photo.jpg", exif=turned(photo))
    gray.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("L", (8, 8), 255)])
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    found = {path.stem: read_header(path).list_changes((8, 8), 1) for path in tmp_path.iterdir()}
    assert found == {
        "as_it_is": [],
        "wide": ["transparent parts filled with white", "converted to gray", "resized from 20×10 to 8×8", "stretched"],
        "photo": ["turned as its camera was", "converted to gray", "resized from 30×40 to 8×8", "stretched"],
        "moving": ["its first frame", "converted to gray"],
        "deep": ["16 bits reduced to 8"],
    }
    assert read_header(tmp_path / "as_it_is.png").list_changes((8, 8), 3) == ["converted to RGB"]


@pytest.mark.parametrize(("invert", "value"), [("never", 0), ("auto", 0), ("always", 255)])
def test_an_image_whose_upper_bits_are_empty_is_inverted_only_if_that_is_asked_for(
    tmp_path: Path, invert: Invert, value: int
) -> None:
    Image.fromarray(np.full((8, 8), 200, np.uint16)).save(tmp_path / "dim.png")
    looks = Looks((200.0, 255.0), (0.0, 50.0))
    found = prepare(tmp_path / "dim.png", read_header(tmp_path / "dim.png"), (8, 8, 1), looks, invert)
    assert set(found.image.ravel().tolist()) == {value}
    assert found.changes == ["16 bits reduced to 8", *(["inverted, light for dark"] if value else [])]
    assert found.warnings == ["uses only the lower of its 16 bits, so it is nearly black; save it with 8 bits"]


def test_training_images_are_like_themselves_and_inverted_ones_are_not() -> None:
    from sklearn.datasets import load_digits

    digits = (load_digits().images * (255 / 16)).round().astype(np.uint8)[..., None]
    looks = measure_looks(digits)
    assert Looks.parse(str(looks)) == looks
    assert sum(bool(find_strangeness(image, looks)) for image in digits) <= 5  # of 1,797
    assert all(find_strangeness(255 - image, looks).endswith("; inverted it would not") for image in digits[:100])
    assert not any(is_inverted(image, looks) for image in digits) and all(is_inverted(255 - image, looks) for image in digits)
    thin = np.zeros((8, 8, 1), np.uint8)
    thin[1:7, 4] = 200  # a drawing that is darker than the training images
    assert not is_inverted(thin, looks) and is_inverted(255 - thin, looks)
    blank = find_strangeness(np.zeros((8, 8, 1), np.uint8), looks)
    assert blank.startswith("looks unlike the training images (mean 0, those") and "; contrast 0, those" in blank
    assert "inverted" not in blank


@pytest.mark.parametrize("invert", [False, True])
def test_predict_says_what_it_did_and_what_is_strange(recorded: Shell, tmp_path: Path, invert: bool) -> None:
    digit = Image.open(DIGIT).convert("L")
    pixels = np.asarray(digit)
    Image.fromarray(255 - pixels if invert else pixels).convert("RGB").save(tmp_path / "digit.png")
    done = recorded("predict", "digits", str(tmp_path / "digit.png"), "--json")
    assert done.returncode == 0
    (answer,) = json.loads(done.stdout)
    assert "converted to gray" in answer["changes"] and f"digit.png: {', '.join(answer['changes'])}\n" in done.stderr
    assert any("looks unlike the training images" in warning for warning in answer["warnings"]) == invert
    assert ("looks unlike the training images" in done.stderr) == invert


def test_a_version_has_one_spelling(recorded: Shell) -> None:
    store = Store.at(str(recorded.folder / "mlruns"), {})
    assert read_local_version(store, "digits/1") is not None
    for spelling in ("01", "1.0", "+1", " 1"):  # SQLite compares them as numbers
        assert read_local_version(store, f"digits/{spelling}") is None


@pytest.mark.slow
def test_a_promotion_makes_the_form_that_the_first_prediction_uses(tailor: Shell, write_study: Callable[..., Path]) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert (pip install -e '.[litert]')")
    write_study(("trials = 4", "trials = 1"), ("max_epochs = 3", "max_epochs = 1"))
    assert tailor("search", "small.toml", "--workers", "1").returncode == 0
    assert tailor("promote", "small", "--to", "fast", "--quick").returncode == 0
    store = Store.at(str(tailor.folder / "mlruns"), {})
    version = read_local_version(store, "fast")
    assert version is not None and read_form(store, version)


@pytest.mark.slow
def test_the_second_prediction_needs_no_tensorflow(recorded: Shell, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert (pip install -e '.[litert]')")
    store = tmp_path / "mlruns"
    shutil.copytree(recorded.folder / "mlruns", store)  # a copy has the original's addresses, which the first prediction corrects
    shutil.rmtree(store / "cache" / "litert", ignore_errors=True)
    code = (
        "import json, sys; from tailor.experiments.cli import run; code = run(json.loads(sys.argv[1])); "
        "print(code, *(name for name in ('tensorflow', 'mlflow') if name in sys.modules), file=sys.stderr)"
    )

    def ask(reference: str) -> tuple[list[str], str]:
        words = json.dumps(["predict", reference, str(DIGIT), "--json", "--top", "10", "--store", str(store)])
        done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True, timeout=200, check=False)
        return done.stderr.splitlines()[-1].split(), done.stdout

    first, second, by_number = ask("digits"), ask("digits"), ask("digits/1")
    assert first[0] == ["0", "mlflow"] and second[0] == ["0"] and by_number == second
    before, after = (json.loads(text)[0] for _, text in (first, second))
    assert [one["label"] for one in before["classes"]] == [one["label"] for one in after["classes"]]
    for one, other in zip(before.pop("classes"), after.pop("classes"), strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-3)
    assert before == after
    (form,) = (store / "cache" / "litert").iterdir()
    form.write_bytes(form.read_bytes()[:-1] + b"x")
    assert ask("digits")[0] == ["0", "mlflow"] and ask("digits")[0] == ["0"]  # damaged: made anew
    for model in store.glob("artifacts/small/models/*/artifacts/data/model.keras"):
        model.write_bytes(model.read_bytes() + b"x")
    assert ask("digits")[0] == ["2", "mlflow"]


def test_python_refuses_what_is_no_array_of_images(recorded: Shell) -> None:
    for images in (["digit.png"], np.zeros((1, 4, 4, 1), "uint8"), np.zeros((1, 8, 8, 1))):
        with pytest.raises(InputError, match=r"^images: expected an array, uint8 \(n, 8, 8, 1\), got "):
            public.predict("digits", images, store=recorded.folder / "mlruns")
    with pytest.raises(InputError, match=r"^images: expected at least one, got an empty array"):
        public.predict("digits", np.zeros((0, 8, 8, 1), "uint8"), store=recorded.folder / "mlruns")
    with pytest.raises(InputError, match=r"^prune: expected shares in a tuple, such as \(0.8,\), got 0.8"):
        public.compress("digits", prune=0.8, store=recorded.folder / "mlruns")
    with pytest.raises(InputError, match=r"nowhere: there is no such folder; give one that `tailor pull"):
        public.load("nowhere")
