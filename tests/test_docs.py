"""The reference of the study file against the code: every key, and what holds where it is left out."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tailor.experiments.datasets.splits import DEFAULT
from tailor.models.factories import cnn, mlp, resnet, separable, transfer
from tailor.models.training import options
from tailor.models.training.options import TrainOptions
from tailor.search.study import reference
from tailor.search.study.sections import SearchPlan

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "study.md").read_text()


def left_out(section: str) -> dict[str, str]:
    """The keys of a section's table, and what its second column says."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for first, second in re.findall(r"^\| (`.+?) \| (.+?) \|", text, re.MULTILINE):
        names = re.findall(r"`(\w+)`", first)
        if "…" in first:
            stem, low, high = names[0].rpartition("_")[0], *(int(name.rpartition("_")[2]) for name in names)
            names = [f"{stem}_{number}" for number in range(low, high + 1)]
        found |= dict.fromkeys(names, second)
    return found


@pytest.mark.parametrize(
    ("section", "keys", "defaults"),
    [
        ("[training]", vars(TrainOptions()), vars(TrainOptions())),
        ("Hyperparameters of `mlp`", mlp.DEFAULTS, mlp.DEFAULTS),
        ("Hyperparameters of `cnn`", cnn.DEFAULTS, cnn.DEFAULTS),
        ("Hyperparameters of `resnet`", resnet.DEFAULTS, resnet.DEFAULTS),
        ("Hyperparameters of `separable`", separable.DEFAULTS, separable.DEFAULTS),
        ("Hyperparameters of `transfer`", transfer.DEFAULTS, transfer.DEFAULTS),
    ],
)
def test_every_key_stands_there_with_its_default(section: str, keys: Any, defaults: Mapping[str, Any]) -> None:
    said = left_out(section)
    assert set(said) == set(keys)
    wrong = {key: said[key] for key, value in defaults.items() if value is not None and said[key] != f"`{json.dumps(value)}`"}
    assert not wrong


def test_the_tables_of_sections_are_what_their_declarations_say() -> None:
    assert reference.rewrite(PAGE) == PAGE  # `make reference` writes them
    assert set(left_out("[search]")) == set(vars(SearchPlan()))
    assert "| `trials` | `20` | in all" in reference.rewrite(PAGE.replace("| `trials` | `20` |", "| `trials` | `21` |"))


def test_the_default_cut_stands_there() -> None:
    assert left_out("[data]")["splits"] == "`{ " + ", ".join(f"{name} = {share}" for name, share in DEFAULT.items()) + " }`"


def test_the_training_options_stand_there_as_they_are_declared() -> None:
    assert options.table() in PAGE


def test_one_value_crosses_nine_files_in_one_direction() -> None:
    walk = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## One value")[2]
    files = re.findall(r"^\d+\. `([\w/]+\.py)`", walk, re.MULTILINE)
    rooms = [file.partition("/")[0] for file in files]
    assert 2 < len(files) <= 9 and all((ROOT / file).is_file() for file in files)
    assert [room for room, _ in itertools.groupby(rooms)] == ["search", "experiments", "models"]


def test_each_decision_has_a_page_and_one_line_in_their_list() -> None:
    listed = re.findall(
        r"^- \[(.+)\]\((decisions/.+\.md)\)$", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    titles = {f"decisions/{page.name}": page.read_text(encoding="utf-8").splitlines()[0] for page in pages}
    assert sorted(file for _, file in listed) == list(titles)
    assert {file: f"# {title}" for title, file in listed} == titles


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name
)
def test_files_that_the_docs_name_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:search|models|experiments|tests|benchmarks|docs|tailor)/[\w./-]+\.(?:py|sh|md|toml))`",
        page.read_text(encoding="utf-8"),
    )
    assert [name for name in named if "NAME" not in name and not (ROOT / name).is_file()] == []
