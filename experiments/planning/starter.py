"""A starter study file: what a person edits first, with comments, for their data and model."""

from __future__ import annotations

import ast
import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...search.space.conditions import write_toml
from ..datasets.layout import LIKE_SPLITS, endings, find_part, is_hidden, is_own
from ..errors import escape_path

_SPLIT = re.compile(rf"(.*[-_ .])?{LIKE_SPLITS.pattern}")  # seg_train too: one of several is never the data alone
SPACES = {
    "mlp": """depth = { low = 1, high = 3 }                                 # hidden layers
units = { choices = [64, 128, 256] }                          # of each layer
dropout = { low = 0.0, high = 0.4 }""",
    "cnn": """filters = { choices = [16, 32, 64] }                          # of each convolution
dense_units = { choices = [64, 128, 256] }                    # of the layer before the last one
dropout = { low = 0.0, high = 0.5 }
batch_norm = [true, false]                                    # a list is a choice""",
}
LEARNING = """learning_rate = { low = 3e-4, high = 1e-2, log = true }       # log: every power of ten is as likely
batch_size = { choices = [32, 64, 128] }"""
OWN = "# what your function reads from its `hparams`, by its names, such as:\n# width = { low = 16, high = 256, log = true }"
COMPILED = "batch_size = { choices = [32, 64, 128] }\n# the other hyperparameters are those that the model declares by `hp`"


def name_study(dataset: str, model: str) -> str:
    """A study's name by its data and model: cells-cnn for folder:data/cells and cnn, and for folder:. in cells."""
    kind, _, place = dataset.partition(":")
    parts = ((Path(os.path.abspath(place)).stem if place else "") or kind, Path(model.rpartition(":")[0] or model).stem)
    return make_name("-".join(parts))


def make_name(text: str) -> str:
    """A valid name of a study that is like the text: blatter for blätter."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.-]+", "-", re.sub(r"\.{2,}", ".", plain), flags=re.ASCII).strip("-._") or "study"


@dataclass(frozen=True)
class Starter:
    """What a starter file is for. `model` is a built-in name or FILE:FUNCTION; `image_size` is for a folder of several sizes."""

    name: str
    dataset: str
    model: str
    image_size: tuple[int, int] | None = None

    @property
    def by_keras_tuner(self) -> bool:
        """Whether the model is a function of Keras Tuner's `hp`, or a HyperModel."""
        path, _, name = self.model.rpartition(":")
        return Path(path).suffix == ".py" and os.path.isfile(path) and _takes_hp(Path(path), name)

    def write(self) -> str:
        """The study file's text."""
        api = '\napi = "keras-tuner"               # it is called with `hp`' if self.by_keras_tuner else ""
        space = (
            COMPILED
            if self.by_keras_tuner
            else "\n".join((LEARNING, SPACES.get(self.model, "" if ":" not in self.model else OWN)))
        )
        training = "" if self.by_keras_tuner else '\noptimizer = "adam"'
        size = (
            "# image_size = [64, 64]          # resize a folder's images"
            if self.image_size is None
            else (f"image_size = {list(self.image_size)}           # height and width to which images are resized")
        )
        return f"""# A study for Tailor. Check it:  tailor check FILE    Run it:  tailor search FILE    Every key:  tailor schema
[study]
name = {write_toml(self.name)}
dataset = {write_toml(self.dataset)}               # or digits, fashion-mnist, folder:DIR (a folder a class), npz:FILE, idx:DIR
model = {write_toml(self.model)}                    # or mlp, cnn, resnet, separable, transfer, "FILE.py:FUNCTION"{api}
objective = "val_accuracy"
direction = "maximize"

[search]
trials = 20
max_epochs = 15                   # of one trial; most stop earlier
# timeout = "30m"                 # start no trial after this time

[space]                           # what is searched
{space.rstrip()}

[training]                        # what is fixed{training}
early_stopping = {{ patience = 4 }}

[data]
{size}
"""


def guess_dataset(folder: Path) -> str:
    """The data that lies in a folder: an .npz file, or images by class, in it or one folder below; else the digits.

    The digits need no download. A folder of one split is no data set while others lie beside it: their images would be lost.
    """
    if files := [path for path in _list(folder) if path.suffix == ".npz"]:
        return f"npz:{files[0].name}"
    folders = _list_folders(folder)
    splits = [count for place in folders if _SPLIT.fullmatch(place.name.lower()) and (count := _count_classes(place))]
    whole = 1 < _count_classes(folder) == len(folders)  # another folder here would be a class without images
    if whole or (len(splits) > 1 and max(splits) > 1):
        return "folder:."
    for place in folders:
        train = next((inside for inside in _list_folders(place) if find_part(inside.name) == "train"), place)
        if _count_classes(train) > 1:
            return f"folder:{place.name}"
    return "digits"


def _count_classes(folder: Path) -> int:
    """How many sub-folders hold an image; looks at no more files than it must."""
    return sum(map(holds_image, _list_folders(folder)))


def holds_image(folder: Path) -> bool:
    """Whether an image lies in the folder itself."""
    with suppress(OSError), os.scandir(folder) as entries:
        return any(Path(entry.name).suffix.lower() in endings() and not is_hidden(entry.name) for entry in entries)
    return False


def _list_folders(folder: Path) -> list[Path]:
    return [path for path in _list(folder) if os.path.isdir(path) and not is_own(path)]


def _list(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without what is hidden; nothing of a file, or of a folder that nobody may read."""
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path.name) and escape_path(path) == str(path))
    except OSError:
        return []


def guess_model(folder: Path, dataset: str) -> str:
    """A function `build` in a file here or one folder below; else a network that fits the data."""
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]):
        if any(one.name == "build" for one in _list_definitions(path)):
            return f"{path.relative_to(folder)}:build"
    return "mlp" if dataset == "digits" else "cnn"


def _takes_hp(path: Path, name: str) -> bool:
    for one in _list_definitions(path):
        if one.name == name:
            if isinstance(one, ast.ClassDef):
                return any("HyperModel" in ast.unparse(base) for base in one.bases)
            return [argument.arg for argument in one.args.args] == ["hp"]
    return False


def _list_definitions(path: Path) -> list[ast.FunctionDef | ast.ClassDef]:
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError, OSError):
        return []
    return [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
