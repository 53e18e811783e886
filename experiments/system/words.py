"""Numbers with their nouns, and names one after another, as people write them."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """1 trial, 2 trials, 1,000 trials."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_names(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def say_need(names: Sequence[str]) -> str:
    """a needs; a and b need."""
    return f"{list_names(names)} need{'s' if len(names) == 1 else ''}"


def say_ended(word: str, reason: str) -> str:
    """done; pruned after epoch 3; stopped by request; stopped, its worker went away; failed, error: KeyError: 'width'."""
    if reason.startswith(f"{word} "):
        return reason
    return f"{word}{' ' if word == 'pruned' else ', '}{reason}" if reason else word
