"""Code by reference: files that lean on others beside them, files that are no Python, functions of a script or notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor.models.errors import ModelError
from tailor.models.factory import resolve
from tailor.models.references import is_installed
from tailor.models.training import losses

BUILD = "\ndef build(hparams, input_shape, num_classes):\n    {}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets").mkdir()
    for place in ("beside", "here", "queue"):
        (tmp_path / ("." if place == "here" else "nets") / f"{place}.py").write_text("Scale = 1\n")
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "blocks.py").write_text("Scale = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "inside", "says"),
    [
        ("from beside import Scale", "pass", "nets/mine.py imports beside (nets/beside.py), which does not travel"),
        ("import beside", "pass", "imports beside"),
        ("from here import Scale", "pass", "imports here (here.py)"),
        ("", "from beside import Scale", "imports beside"),
        ("", "import here as h", "imports here"),
        ("from .beside import Scale", "pass", "imports .beside"),
        ("from . import beside", "pass", "imports . "),
        ("import nets.beside", "pass", "imports nets.beside (nets)"),
        ("from kit.blocks import Scale", "pass", "imports kit.blocks (kit)"),
        ("try:\n    import beside\nexcept ImportError:\n    beside = None", "pass", "imports beside"),
        ("if True:\n    import keras, beside", "pass", "imports beside"),
    ],
)
def test_a_file_that_leans_on_its_neighbours_is_refused(folder: Path, line: str, inside: str, says: str) -> None:
    (folder / "nets" / "mine.py").write_text(line + BUILD.format(inside))
    with pytest.raises(ModelError) as error:
        resolve("nets/mine.py:build")
    assert says in str(error.value) and "put that code into nets/mine.py, or install it as a package" in str(error.value)


def test_what_is_installed_is_no_neighbour(folder: Path) -> None:
    """A file of the same name beside it is not what is imported."""
    lines = "import queue, json, keras\nfrom collections.abc import Mapping\nfrom typing import TYPE_CHECKING\n"
    (folder / "nets" / "mine.py").write_text(lines + "if TYPE_CHECKING:\n    import beside\n" + BUILD.format("pass"))
    assert callable(resolve("nets/mine.py:build").build)
    assert [is_installed(name) for name in ("numpy", "tailor", "sys", "beside", "here")] == [True, True, True, False, False]


def test_a_kept_copy_is_asked_for_its_neighbours_where_it_comes_from(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.py").write_text("import beside" + BUILD.format("pass"))
    with pytest.raises(ModelError, match="imports beside"):
        resolve("nets/mine.py:build", tmp_path / "kept" / "mine.py")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("def build(h, s, n): pass".encode("utf-16"), "mine.py is not text in UTF-8; save it as UTF-8"),
        ("def build(h, s, n): pass".encode("utf-16-le"), "mine.py is not text in UTF-8; save it as UTF-8"),
        ("# naïve\ndef build(h, s, n): pass".encode("latin-1"), "mine.py is not text in UTF-8; save it as UTF-8"),
        (b"\ndef build(h, s, n) pass", "mine.py:2 is not valid Python (expected ':'); correct it"),
    ],
)
def test_a_file_that_is_no_python_is_named_with_its_line(folder: Path, content: bytes, says: str) -> None:
    (folder / "mine.py").write_bytes(content)
    with pytest.raises(ModelError) as error:
        resolve("mine.py:build")
    assert says in str(error.value)


def test_a_file_with_its_encoding_declared_is_read(folder: Path) -> None:
    (folder / "mine.py").write_bytes("# coding: latin-1\nWORD = 'naïve'\ndef build(h, s, n): pass".encode("latin-1"))
    assert callable(resolve("mine.py:build").build)


def test_a_script_that_ends_python_is_named(folder: Path) -> None:
    (folder / "mine.py").write_text("def build(h, s, n): pass\nraise SystemExit(0)\n")
    with pytest.raises(ModelError, match=r"study\.model: mine\.py ends Python when it is imported"):
        resolve("mine.py:build")


@pytest.mark.parametrize("name", ["__main__:build", ":build"])
def test_a_function_of_a_script_or_notebook_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ModelError, match=r"write it to a file and name that, such as 'nets/mine.py:build'"):
        resolve(name)


def test_a_loss_that_fails_on_what_it_gets_is_refused(folder: Path) -> None:
    (folder / "nets" / "own.py").write_text(
        "import keras\ndef right(wanted, found):\n    return keras.losses.categorical_crossentropy(wanted, found)\n"
        "def sparse(wanted, found):\n    return keras.losses.sparse_categorical_crossentropy(wanted, found)\n"
        "def mean(wanted, found):\n    return keras.ops.mean(right(wanted, found))\n"
        "def column(wanted, found):\n    return right(wanted, found)[:, None]\n"
        "def none(wanted, found):\n    right(wanted, found)\n"
        "def as_numpy(wanted, found):\n    return right(wanted, found).numpy()\n"
    )
    losses.check("nets/own.py:right", 10)
    for wrong, says in (
        ("mean", r"the shape \(\) for 2 images; leave out the mean"),
        ("column", r"the shape \(2, 1\)"),
        ("none", "NoneType"),
    ):
        with pytest.raises(
            ModelError, match=rf"expected 'nets/own\.py:{wrong}' to return a loss for each image, \(n,\), got {says}"
        ):
            losses.check(f"nets/own.py:{wrong}", 10)
    with pytest.raises(ModelError, match=r"'keras\.losses:Huber' is a class; name a function, or an object of it"):
        losses.check("keras.losses:Huber", 10)
    with pytest.raises(ModelError, match=r"training\.loss: 'nets/own\.py:sparse' fails \(.*It gets one-hot labels .* \(n, 10\)"):
        losses.check("nets/own.py:sparse", 10)
    with pytest.raises(ModelError, match=r"'nets/own\.py:as_numpy' fails \(AttributeError: .* in keras\.ops or tf, not in NumPy"):
        losses.check("nets/own.py:as_numpy", 10)


def test_a_loss_may_be_a_file(folder: Path) -> None:
    (folder / "nets" / "own.py").write_text("def loss(wanted, found):\n    return found\nVALUE = 3\n")
    assert losses.resolve("nets/own.py:loss")(1, 2) == 2
    for name, says in (
        ("nets/own.py:lass", "training.loss: 'nets/own.py' has no function 'lass'; it has: loss"),
        ("nets/own.py:VALUE", "training.loss: 'nets/own.py' has no function 'VALUE'"),
        ("nets/none.py:loss", "training.loss: there is no file 'nets/none.py'"),
        ("no_such_module:loss", "training.loss: there is no module 'no_such_module'"),
    ):
        with pytest.raises(ModelError) as error:
            losses.resolve(name)
        assert says in str(error.value)
