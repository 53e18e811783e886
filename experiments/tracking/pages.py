"""All that one of MLflow's searches finds; it returns at most a page at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PAGE = 1000  # the most that MLflow returns at once


def read_pages(search: Callable[..., Any], *arguments: Any, page: int | None = None, **named: Any) -> Iterator[Any]:
    """What `search`, a method of MLflow's client, finds with these arguments; fetches a page when it is asked for."""
    token = None
    while True:
        found = search(*arguments, max_results=page or PAGE, page_token=token, **named)
        yield from found
        if not (token := found.token):
            return
