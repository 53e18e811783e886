"""Asks before something is removed: on a terminal a question, elsewhere `--yes` is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
yes_option: Callable[[F], F] = click.option("--yes", "-y", "sure", is_flag=True, help="Do not ask.")


def confirm(question: str, sure: bool) -> bool:
    """Whether the person agrees. Raises InputError without `--yes` if nobody can answer."""
    from ..errors import InputError

    if sure:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody can be asked here, so nothing was removed; add --yes.")
    return click.confirm(question, default=False)


def format_size(size: int) -> str:
    """Bytes as megabytes."""
    return f"{size / 1e6:,.1f} MB"
