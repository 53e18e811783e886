"""Numbers with their nouns, as people write them."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """1 trial, 2 trials, 1,000 trials."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
