"""The names that every store takes for a parameter."""

from __future__ import annotations

import posixpath
import re

from .conditions import NAME

LONGEST = 100


def explain_name(name: str) -> str:
    """What is expected of a parameter's name, and what came; empty for a valid name."""
    if len(name) <= LONGEST and re.fullmatch(NAME, name) and posixpath.normpath(name) == name:  # one spelling a folder of MLflow
        return ""
    known = f"at most {LONGEST} letters, digits and '_', '-', '.', '/' or spaces, beginning with a letter or '_'"
    return f"a parameter name of {known}, without '//', '/.' or an '/' at its end; got {name[:60]!r}"
