"""The errors that a command turns into one line and an exit code; anything else is a bug and shows its traceback."""

from __future__ import annotations

import os
from pathlib import Path


class InputError(ValueError):
    """What the user gave is wrong (exit 2): the message says the field, what was expected, what came, what to do."""


class RunError(RuntimeError):
    """The input was right and it still failed (exit 1): the message says what failed and what to do."""


class ClusterGone(RunError):
    """The scheduler of a cluster went away in the middle of a search. The message ends with "the same command resumes"."""


def escape_path(path: Path | str) -> str:
    """A path as text that any file can hold: bytes that are not UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
