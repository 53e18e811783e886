"""The order in which people count: study-2 before study-10."""

from __future__ import annotations

import re


def count_up(name: str) -> tuple[list[str | int], str]:
    """A key to sort names by: their numbers as numbers; the name itself decides between study-1 and study-01."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name
