"""The pictures of README and docs are as new as what they show."""

from __future__ import annotations

import re

import pytest
from pictures import DRAWN_BY, PICTURES, ROOT, digest, made_of


@pytest.mark.parametrize("picture", DRAWN_BY)
def test_a_picture_is_as_new_as_what_it_shows(picture: str) -> None:
    assert made_of(picture) == digest(picture), "the screen or page has changed: look at it, and run `make pictures`"


def test_every_picture_is_made_by_the_command() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        name for page in pages for name in re.findall(r"!\[.*?\]\(\S*?pictures/(\w+)\.png\)", page.read_text(encoding="utf-8"))
    }
    assert shown == set(DRAWN_BY) == {path.stem for path in PICTURES.glob("*.png")} - {"digit"}  # an image to classify
