"""Which files of a folder are images, of which class and split, and which files Tailor does not read. Opens no file."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NoReturn

from PIL import Image

from ..errors import InputError, escape_path
from ..system.words import count

SPLITS = {"train": "train training", "val": "val valid validation", "test": "test testing"}
LIKE_SPLITS = re.compile(r"(train(ing)?|val(id|idate|idation)?|test(ing)?|dev|eval(uation)?|hold[-_]?out)([-_ .\d].*)?")
OF_TRAINING = re.compile(r"(.*[-_])?train(ing)?")  # seg_train
NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow passes these to other programs, or only knows their headers
UNMEASURED = {"ICO", "ICNS", "CUR"}  # Pillow decodes these to tell their size
COMMON = ("PNG", "JPEG")  # Pillow tries the formats one after another
OF_A_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
MOST_NAMED = 5


@dataclass
class Found:
    """The images under one folder, sorted; how many lie in its sub-folders; and the endings of files that are no images."""

    images: list[Path] = field(default_factory=list)
    deeper: int = 0
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Layout:
    """The image files of each split with their labels, 0…classes−1 by class name; `notes` name what is not read, a line each."""

    parts: Mapping[str, tuple[Sequence[Path], Sequence[int]]]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


@cache
def formats(measured: bool = False) -> tuple[str, ...]:
    """Pillow's formats that are pictures; if `measured`, those whose size Pillow tells before it decodes them."""
    Image.init()
    known = set(Image.OPEN) - NO_PIXELS - (UNMEASURED if measured else set())
    return (*COMMON, *sorted(known - set(COMMON)))


@cache
def endings() -> frozenset[str]:
    """The endings of files that Pillow opens as pictures, in lower case."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in {*formats(), "MPO"})


MOST_SEEN = 10_000  # files and folders that are looked through for an example


def find_pattern(folder: Path) -> str:
    """A shell's pattern for the images in a folder or below it, after "such as"; empty if there are none."""
    found = next((path for path in islice(folder.rglob("*"), MOST_SEEN) if path.suffix.lower() in endings()), None)
    if found is None:
        return ""
    return f", such as {shlex.quote(str(folder))}/{'*/' * (len(found.relative_to(folder).parts) - 1)}*{found.suffix}"


def find(name: str, folder: Path) -> Layout:
    """Find each class's images. A class is a sub-folder of the folder, or of each of train/, val/ and test/.

    Class names have one form (NFC): macOS writes an accent as a separate character. Raises InputError.
    """
    places, notes = _splits(name, folder)
    classes = {part: _classes(name, place) for part, place in places.items()}
    found = {part: {c: images_under(place) for c, place in of_part.items()} for part, of_part in classes.items()}
    train, place = found["train"], places["train"]
    if len(train) < 2:
        raise InputError(f"{name}: expected one sub-folder of images a class, at least two; got {len(train)} in {_name(place)}.")
    _check_no_splits(name, folder, classes["train"], train)
    for class_name, files in train.items():
        if not files.images:
            raise InputError(f"{name}: {place / class_name} holds no image; remove the folder, or put images into it.")
    for part in ("val", "test"):
        if part in found:
            _check_known(name, places, part, found)
    names = tuple(train)
    parts: dict[str, tuple[list[Path], list[int]]] = {}
    for part, of_part in found.items():
        rows = [(path, i) for i, c in enumerate(names) if c in of_part for path in of_part[c].images]
        parts[part] = [path for path, _ in rows], [label for _, label in rows]
    beside = sum(path.suffix.lower() in endings() for place in places.values() for path in _visible(place) if path.is_file())
    return Layout(parts, names, (*notes, *_left_out([f for of_part in found.values() for f in of_part.values()], beside)))


def images_under(folder: Path) -> Found:
    """The images in a class's folder and its sub-folders, links too; without hidden files and files of a system.

    Raises InputError for a folder that cannot be read: its images would be missing without a word.
    """
    found, seen = Found(), set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not is_hidden(f))
        for path in (Path(place, file) for file in files if not is_hidden(file)):
            if path.suffix.lower() not in endings():
                found.others[path.suffix.lower() or "none"] += 1
            elif path.is_file() or not path.exists():  # not a pipe; a broken link raises an error when Tailor reads it
                found.images.append(path)
                found.deeper += Path(place) != folder
    found.images.sort()
    return found


def find_part(folder: str) -> str | None:
    """The split that a folder of that name holds: train, val or test; None if the name is no split's."""
    return next((part for part, words in SPLITS.items() if folder.lower() in words.split()), None)


def _splits(name: str, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The folder of each split, or the whole folder as `train`; and a note about folders beside them."""
    named: dict[str, Path] = {}
    others: list[str] = []
    for place in _folders(folder):
        part = find_part(place.name)
        if part is None:
            others.append(place.name)
        elif part in named:
            raise InputError(f"{name}: {named[part].name}/ and {place.name}/ are both the {part} images; keep one of them.")
        else:
            named[part] = place
    if "train" not in named or (len(named) == 1 and others):
        return {"train": folder}, []
    note = (
        f"not read: {', '.join(f'{escape_path(o)}/' for o in others)}, beside {', '.join(f'{p.name}/' for p in named.values())}"
    )
    return {part: named[part] for part in SPLITS if part in named}, [note] if others else []


def _classes(name: str, place: Path) -> dict[str, Path]:
    """The sub-folders by class name, sorted."""
    classes: dict[str, Path] = {}
    for folder in _folders(place):
        try:  # by its bytes: the locale does not matter
            class_name = unicodedata.normalize("NFC", os.fsencode(folder.name).decode())
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: the folder {escape_path(folder)} has a name that is not UTF-8; rename it.") from error
        if class_name in classes:
            raise InputError(
                f"{name}: {_name(place)} holds {class_name!r} twice, its accents in two spellings; put both into one folder."
            )
        classes[class_name] = folder
    return dict(sorted(classes.items()))


def _check_no_splits(name: str, folder: Path, classes: Mapping[str, Path], found: Mapping[str, Found]) -> None:
    """Raise InputError if the classes look like splits, by a name or by holding the same folders, and no image directly."""
    flat = [class_name for class_name, files in found.items() if len(files.images) > files.deeper]
    if len(flat) == 1:
        _check_not_beside_train(name, folder, classes, flat[0])
    if flat:
        return
    if all(LIKE_SPLITS.fullmatch(class_name.lower()) for class_name in classes):
        raise InputError(
            f"{name}: {_name(folder)} holds {_few(list(classes))}, with folders of images in each; if those are the classes, "
            "rename the folders above them to train, val and test; if not, put the images directly into their class's folder."
        )
    inside = Counter(tuple(sorted(f.name for f in _folders(place))) for place in classes.values())
    same, times = inside.most_common(1)[0]
    if times > 1 and len(same) > 1:
        raise InputError(
            f"{name}: {_name(folder)} holds {_few(list(classes))}, and in each the same folders; if those are the classes, "
            "rename the folders above them to train, val and test; if not, put the images directly into their class's folder."
        )


def _check_not_beside_train(name: str, folder: Path, classes: Mapping[str, Path], flat: str) -> None:
    """Raise InputError if a split of training images is a class, and the only images beside it, of no class, another."""
    for class_name, place in classes.items():
        if OF_TRAINING.fullmatch(class_name.lower()) and class_name != flat and len(_folders(place)) > 1:
            raise InputError(
                f"{name}: {_name(folder)} holds {class_name!r}, with folders of images in it, beside {flat!r}; if those are the "
                f"classes, rename the folders above them to train, val and test, and move {flat!r} elsewhere; if not, put the "
                "images directly into their class's folder."
            )


def _check_known(name: str, places: Mapping[str, Path], part: str, found: Mapping[str, Mapping[str, Found]]) -> None:
    """Raise InputError if a split has images of a class that train lacks, or no images at all."""
    train, of_part = found["train"], found[part]
    strange = [class_name for class_name, files in of_part.items() if files.images and class_name not in train]
    if strange:
        near = difflib.get_close_matches(strange[0], [c for c in train if c not in of_part] or list(train), n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        folders, them = ("the folder", "it") if len(strange) == 1 else ("the folders", "them")
        raise InputError(
            f"{name}: {places[part].name}/ holds images of {_few(strange)}, which {places['train'].name}/ lacks{meant}; "
            f"rename {folders}, or remove {them}."
        )
    if not any(files.images for files in of_part.values()):
        raise InputError(f"{name}: {places[part]} holds no image of any class; sort its images into class folders, or remove it.")


def _left_out(found: Sequence[Found], beside: int) -> list[str]:
    """Notes about the files, a line each."""
    others = sum((files.others for files in found), Counter())
    deeper, images = sum(files.deeper for files in found), sum(len(files.images) for files in found)
    notes = []
    if others:
        counts = ", ".join(f"{escape_path(ending)} ({n:,})" for ending, n in others.most_common(MOST_NAMED))
        notes.append(
            f"not read, because of their endings: {count(others.total(), 'file')}: "
            f"{counts}{', …' if len(others) > MOST_NAMED else ''}"
        )
    if beside:
        notes.append(f"not read: {count(beside, 'image')} beside the classes' folders")
    if deeper:
        notes.append(
            f"{deeper:,} of {images:,} images lie{'s' * (deeper == 1)} in folders inside their class's folder; Tailor uses them"
        )
    return notes


def _name(folder: Path) -> str:
    return "the current folder" if folder == Path() else str(folder)


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MOST_NAMED])) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _folders(place: Path) -> list[Path]:
    """The folders and the links to folders. Raises InputError for a link that leads nowhere: it may have been a class."""
    if broken := [path for path in _visible(place) if not path.exists() and not _is_named_as_file(path)]:
        raise InputError(f"{escape_path(broken[0])}: the link leads nowhere; repair it or remove it.")
    return [path for path in _visible(place) if path.is_dir() and not is_own(path)]


def _is_named_as_file(path: Path) -> bool:
    """Whether the name ends as a file's; a class's may have a dot too: `St. Bernard`."""
    return re.search(r"[^\s.]\.([a-z0-9]{1,8}|[A-Z0-9]{1,8})$", path.name) is not None


def is_own(folder: Path) -> bool:
    """Whether it is a store, an export or a pulled model of Tailor's, and no data: it lies in the data's folder if that is the
    current one.
    """
    return any(os.path.isfile(folder / name) for name in ("mlflow.db", "studies.db", "export.json", "model.keras"))


def _visible(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if not is_hidden(path.name))
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{escape_path(error.filename)}: the folder cannot be read ({error.strerror}); make it readable.") from error


def is_hidden(file: str) -> bool:
    """Whether the file is no image of the data: a hidden file, or a file of macOS or another system."""
    return file.startswith((".", "__MACOSX")) or file.lower() in OF_A_SYSTEM
