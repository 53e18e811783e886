"""Numbers with their nouns, names in a row, and how a trial ended, as people write them."""

from __future__ import annotations

import pytest

from tailor.experiments.system.words import count, list_names, say_ended, say_need


def test_numbers_and_names_are_written_as_people_do() -> None:
    assert [count(number, "trial") for number in (0, 1, 1000)] == ["0 trials", "1 trial", "1,000 trials"]
    assert [list_names(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [say_need(names) for names in (["a"], ["a", "b"])] == ["a needs", "a and b need"]


@pytest.mark.parametrize(
    ("word", "reason", "said"),
    [
        ("done", "", "done"),
        ("pruned", "after epoch 3", "pruned after epoch 3"),
        ("failed", "error: KeyError: 'width'", "failed, error: KeyError: 'width'"),
        ("stopped", "stopped by request", "stopped by request"),
        ("stopped", "its worker went away", "stopped, its worker went away"),
    ],
)
def test_how_a_trial_ended_says_no_word_twice(word: str, reason: str, said: str) -> None:
    assert say_ended(word, reason) == said
