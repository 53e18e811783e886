"""Folders of images of your own, their classes and parts: read whole, or refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from image_folders import make_folder, tree
from PIL import Image

from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.splits import split
from tailor.experiments.errors import InputError
from tailor.search.study.spec import DataPlan


def test_a_folder_of_images_a_class(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8)] * 5)
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images.shape == (10, 6, 8, 3)
    assert dataset.class_names == ("cat", "dog")


def test_a_folder_with_a_test_part_and_grey_images(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", [(6, 6)] * 5, "L")
    make_folder(tmp_path / "test", [(6, 6)] * 2, "L")
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images.shape == (10, 6, 6, 1)
    assert dataset.test is not None and len(dataset.test) == 4


def test_one_colour_image_anywhere_makes_a_set_of_colour_images(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 6)] * 3, "L")
    Image.new("RGB", (6, 6), (250, 0, 0)).save(tmp_path / "dog" / "9.png")
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images[-1, 0, 0].tolist() == [250, 0, 0]


def test_what_is_transparent_lies_on_white_and_hidden_files_are_none(tmp_path: Path) -> None:
    """Black ink on a transparent ground would be black on black."""
    make_folder(tmp_path, [(6, 6)] * 3, "LA")
    for name in ("cat", "dog"):
        Image.new("LA", (6, 6), (0, 0)).save(tmp_path / name / "0.png")
        Image.new("LA", (6, 6), (0, 255)).save(tmp_path / name / "1.png")
        (tmp_path / name / "._0.png").write_bytes(b"what macOS leaves beside a file")
    images = open_dataset(f"folder:{tmp_path}", None).pool.images
    assert len(images) == 6
    assert (images[0].min(), images[1].max()) == (255, 0)


def test_images_of_several_sizes_need_one_to_be_named(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8), (7, 9)])
    with pytest.raises(InputError, match=r"\[data\] image_size = \[HEIGHT, WIDTH\]"):
        open_dataset(f"folder:{tmp_path}", None)
    assert open_dataset(f"folder:{tmp_path}", None, (10, 12)).pool.images.shape == (4, 10, 12, 3)


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Val"])
def test_a_folder_of_validation_images_is_the_validation_split(tmp_path: Path, word: str) -> None:
    tree(tmp_path, *(f"train/{c}/{i}.png" for c in "ab" for i in range(20)))
    uri = tree(tmp_path, *(f"{word}/{c}/{i}.png" for c in "ab" for i in range(3)), value=200)
    dataset = open_dataset(uri, None)
    assert dataset.val is not None and (len(dataset.pool), len(dataset.val)) == (40, 6)
    cut = split(dataset, DataPlan())
    assert cut.sizes == {"train": 30, "val": 6, "holdout": 4, "test": 6}
    assert cut.val.images.min() == 200 and cut.train.images.max() == 100
    with pytest.raises(InputError, match=r"data\.splits\.val: .* has its own val set"):
        split(dataset, DataPlan({"val": 0.2}))


def test_two_folders_for_one_split_are_refused_and_folders_beside_them_are_named(tmp_path: Path) -> None:
    parts = [f"{part}/{c}/{i}.png" for part in ("train", "val", "extra") for c in "ab" for i in range(2)]
    assert open_dataset(tree(tmp_path, *parts), None).notes == ("not read: extra/, beside train/, val/",)
    with pytest.raises(InputError, match="val/ and valid/ are both the val images"):
        open_dataset(tree(tmp_path, "valid/a/1.png"), None)


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_class_that_cannot_be_trained_is_refused_and_one_without_images_is_said(tmp_path: Path, part: str) -> None:
    uri = tree(tmp_path, *(f"train/{c}/{i}.png" for c in ("cat", "dog", "emu") for i in range(2)), f"{part}/cat/1.png")
    assert open_dataset(uri, None).notes == (f"no image in {part} of 2 of 3 classes: dog, emu",)
    (tmp_path / part / "notes").mkdir()  # no image, no class
    assert open_dataset(uri, None).class_names == ("cat", "dog", "emu")
    tree(tmp_path, f"{part}/dgo/1.png")
    with pytest.raises(InputError, match=rf"{part}/ holds images of 'dgo', which train/ lacks \(did you mean 'dog'\?\)"):
        open_dataset(uri, None)


def test_accents_in_two_spellings_are_one_class(tmp_path: Path) -> None:
    """macOS writes é as an e and an accent."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    uri = tree(tmp_path, f"train/{decomposed}/1.png", "train/the/1.png", f"test/{composed}/1.png", "test/the/1.png")
    dataset = open_dataset(uri, None)
    assert dataset.class_names == (composed, "the") and dataset.notes == ()
    assert dataset.test is not None and dataset.test.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match="twice, its accents in two spellings"):
        open_dataset(tree(tmp_path, f"train/{composed}/1.png"), None)


def test_a_class_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    os.rename(tmp_path / "b", os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(InputError, match=r"caf\\xe9 has a name that is not UTF-8; rename it") as error:
        open_dataset(f"folder:{tmp_path}", None)
    str(error.value).encode()
    with pytest.raises(InputError, match=r"study\.dataset: .* is not UTF-8"):
        open_dataset("folder:" + os.fsdecode(b"caf\xe9"), None)


def test_every_ending_of_pillows_and_folders_inside_a_class_are_used_and_the_rest_is_counted(tmp_path: Path) -> None:
    names = ("a/1.jfif", "a/2.JPG", "a/3.jp2", "a/deep/er/4.PNG", "b/1.webp", "b/notes.txt", "b/more.txt", "beside.png")
    uri = tree(tmp_path, *names)
    for hidden in ("a/Thumbs.db", "a/.DS_Store", "b/._1.webp", "a/.cache/5.png", "b/desktop.ini"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"")
    dataset = open_dataset(uri, None)
    assert np.bincount(dataset.pool.labels).tolist() == [4, 1]
    assert dataset.notes == (
        "not read, because of their endings: 2 files: .txt (2)",
        "not read: 1 image beside the classes' folders",
        "1 of 5 images lies in folders inside their class's folder; Tailor uses them",
    )


def test_links_are_followed_once_and_a_broken_one_is_named(tmp_path: Path) -> None:
    uri = tree(tmp_path / "set", "a/1.png", "b/1.png")
    tree(tmp_path, "elsewhere/2.png")
    (tmp_path / "set/a/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/a/round").symlink_to(tmp_path / "set/a")
    (tmp_path / "set/b/3.png").symlink_to(tmp_path / "set/a/1.png")
    os.mkfifo(tmp_path / "set/b/pipe.png")  # to open it would wait for ever
    assert np.bincount(open_dataset(uri, None).pool.labels).tolist() == [2, 2]
    (tmp_path / "set/b/4.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match=r"4\.png: there is no such file"):
        open_dataset(uri, None)


@pytest.mark.parametrize("name", ["Bernard", "St. Bernard", "St.Bernard"])
def test_a_broken_link_is_refused_unless_a_file_has_such_a_name(tmp_path: Path, name: str) -> None:
    uri = tree(tmp_path, "cat/1.png", "dog/1.png")
    for file in ("notes.txt", "1.PNG", "latest.log", "labels.parquet"):
        (tmp_path / file).symlink_to(tmp_path / "nowhere")
    assert open_dataset(uri, None).class_names == ("cat", "dog")
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=f"{name}: the link leads nowhere; repair it or remove it"):
        open_dataset(uri, None)


def test_a_store_an_export_and_a_pulled_model_in_the_folder_are_no_classes(tmp_path: Path) -> None:
    """A study of `folder:.` keeps its pictures there."""
    data = tree(tmp_path, "cat/0.png", "dog/0.png", "mlruns/artifacts/curves.png", "mlruns/mlflow.db.png")
    assert open_dataset(data, None).class_names == ("cat", "dog", "mlruns")
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(b"")
    for folder, file in (("cells-1-onnx", "export.json"), ("got", "model.keras")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_bytes(b"")
    assert open_dataset(data, None).class_names == ("cat", "dog")


def test_an_empty_class_and_splits_under_other_names_are_refused(tmp_path: Path) -> None:
    uri = tree(tmp_path / "one", "a/1.png", "b/1.png", "c/notes.txt")
    with pytest.raises(InputError, match="/c holds no image; remove the folder"):
        open_dataset(uri, None)
    uri = tree(tmp_path / "two", *(f"{part}/{c}/1.png" for part in ("Lernen", "Prüfen") for c in "ab"))
    with pytest.raises(InputError, match="rename the folders above them to train, val and test"):
        open_dataset(uri, None)


@pytest.mark.parametrize(
    ("splits", "flat", "said"),
    [
        (["train"], "pred", "holds 'train', with folders of images in it, beside 'pred'; if those are the classes"),
        (["seg_test", "seg_train"], "seg_pred", "holds 'seg_train', with folders of images in it, beside 'seg_pred'"),
    ],
)
def test_a_split_beside_a_flat_folder_of_images_is_no_class(tmp_path: Path, splits: list[str], flat: str, said: str) -> None:
    uri = tree(tmp_path, *(f"{part}/{c}/1.png" for part in splits for c in "ab"), f"{flat}/1.png")
    with pytest.raises(InputError, match=f"{said}.* move '{flat}' elsewhere"):
        open_dataset(uri, None)


def test_a_class_may_keep_its_images_in_folders_and_may_have_a_splits_name(tmp_path: Path) -> None:
    uri = tree(tmp_path, "bus/1.png", "car/red/1.png", "car/blue/1.png", "train/1.png", "train/old/2.png", "dev/only/1.png")
    assert open_dataset(uri, None).class_names == ("bus", "car", "dev", "train")


@pytest.mark.parametrize(
    "places",
    [
        "bus/day bus/night car/day car/night bike tram",
        "canyon castle church/indoor church/outdoor cathedral/indoor cathedral/outdoor",
        "abbey alley train_station/platform train_station/outdoor",
        "bus car train/steam train/electric",
        "pcr-test/images antigen-test/images",
    ],
)
def test_classes_may_have_the_same_folders_inside_beside_others_and_names_like_splits(tmp_path: Path, places: str) -> None:
    uri = tree(tmp_path, *(f"{place}/1.png" for place in places.split()))
    assert open_dataset(uri, None).class_names == tuple(sorted({place.partition("/")[0] for place in places.split()}))


def test_all_damaged_images_are_named_at_once(tmp_path: Path) -> None:
    uri = tree(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(9)))
    for i in range(6):
        (tmp_path / "a" / f"{i}.png").write_text("no picture")
    whole = (tmp_path / "b" / "0.png").read_bytes()
    (tmp_path / "b" / "0.png").write_bytes(whole[:-30])
    with pytest.raises(InputError, match=r"7 of 18 images cannot be read\. .*a/0\.png.*a/4\.png.* And 2 more\.$") as error:
        open_dataset(uri, None)
    assert "\n" not in str(error.value)
