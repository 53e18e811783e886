"""Which hyperparameters a custom factory asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tailor.models.factory import Factory
from tailor.models.reads import list_read


@pytest.mark.parametrize(
    ("build", "read"),
    [
        (lambda h, *_: h["a"], {"a"}),
        (lambda h, *_: h.get("a", 1) + ("b" in h), {"a", "b"}),
        (lambda h, *_: dict(h), {"a", "b", "c"}),
        (lambda h, *_: {**h}, {"a", "b", "c"}),
        (lambda h, *_: h | {}, {"a", "b", "c"}),
        (lambda h, *_: h.copy(), {"a", "b", "c"}),
        (lambda h, *_: [*h.items()], {"a", "b", "c"}),
    ],
)
def test_what_a_factory_asks_for_is_noted(build: Callable[..., Any], read: set[str]) -> None:
    assert list_read(Factory("own", build, {"c": 3}, None), {"a": 1, "b": 2}, ((8, 8, 1), 10)) == read
