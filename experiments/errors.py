"""The errors that a command turns into one line and an exit code. Any other error is a bug and shows its traceback."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


class InputError(ValueError):
    """The input is wrong (exit 2). The message names the field, what was expected, what came, and what to do."""


class RunError(RuntimeError):
    """The input is right and the command failed (exit 1). The message says what failed and what to do."""


class ClusterGone(RunError):
    """A cluster's scheduler went away during a search. The message ends with "the same command resumes"."""


def check_text(field: str, value: object) -> str:
    """A call's argument that must be a text. Raises InputError if it is none."""
    if not isinstance(value, str):
        raise InputError(f"{field}: expected a text, got {value!r}.")
    return value


def write_command(*words: str) -> str:
    """A command of Tailor's as a message names it: quoted for a shell, in backticks."""
    return f"`{shlex.join(['tailor', *words])}`"


def escape_path(path: Path | str) -> str:
    """A path as text for any file: bytes that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
