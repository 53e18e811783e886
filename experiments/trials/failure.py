"""Why a trial failed, in one line: the kind of error, its message, and the line of the user's code that it comes from."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path

from ...models.errors import ModelError
from ...models.training import options
from ...search.errors import quote

# The user's code lies in none of these.
STANDARD = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
PACKAGES = {"site-packages", "dist-packages"}
CODES = re.compile(r"\x1b\[[0-9;]*m")  # colours, which Keras writes into its messages
WRAPPED = re.compile("Exception encountered when calling|.*Error encountered:$")  # first lines of Keras, above a layer's own
OURS = tuple(Path(__file__).resolve().parents[2] / room for room in ("search", "models", "experiments"))


def explain_failure(error: BaseException) -> str:
    """The reason on a failed trial's run: its kind, then the details."""
    from ...models.training.trainer import NonFiniteLoss

    if isinstance(error, NonFiniteLoss):
        return f"non_finite: {error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # the latter is TensorFlow's
        return "out_of_memory: lower the batch size, the model's width or the number of workers"
    if isinstance(error, ModelError):
        return f"model: {error}"
    if lacks_room(error):
        return f"disk: {explain_no_room(error)}"
    return f"error: {describe_error(error)}"


def describe_error(error: BaseException) -> str:
    """The error's type, its first line and, if the user's code raised it, the place: `KeyError: 'droput' (nets/res.py:25)`."""
    lines = [line for line in CODES.sub("", quote(error)).splitlines() if line.strip()]
    while len(lines) > 1 and WRAPPED.match(lines[0].strip()):
        lines = lines[1:]
    said = (lines or [""])[0].strip()[:300]
    place = locate(error)
    return f"{type(error).__name__}{f': {said}' if said else ''}{f' ({place})' if place else ''}"


def advise(said: str) -> str:
    """What to do if a model that failed asked for a hyperparameter that it was not given; empty if that is not why."""
    name = re.match(r"KeyError: '(\w+)'", said)
    if name is None:
        return ""
    if name[1] in options.NAMES:
        return f"; {name[1]} is an option of the training, which no factory gets; give your hyperparameter another name"
    return f"; if that is a hyperparameter, give {name[1]} in the space or in [training]"


def locate(error: BaseException) -> str:
    """The last line of the user's code that the error passed through, as `file:line`; empty if there is none."""
    for frame in reversed(_list_own_frames(error)):
        path = Path(frame.filename)
        return f"{os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path}:{frame.lineno}"
    return ""


def trace_own(error: BaseException) -> str:
    """The lines of the user's code that the error passed through, as a traceback; empty if there are none."""
    frames = _list_own_frames(error)
    return "\nTraceback of your code:\n" + "".join(traceback.format_list(frames)).rstrip() if frames else ""


def trace(error: BaseException) -> str:
    """What a screen shows of a trial's first error: the user's lines and the error; the whole traceback if it passed none.

    Empty if the reason on the trial's run says it all.
    """
    if not explain_failure(error).startswith("error: "):
        return ""
    own = trace_own(error)
    whole = [own.lstrip() + "\n", *traceback.format_exception_only(error)] if own else traceback.format_exception(error)
    return CODES.sub("", "".join(whole))


def _list_own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(Path(frame.filename))]


def is_own(path: Path) -> bool:
    """Whether a file of code is the user's: it is not installed, nor Python's or Tailor's."""
    installed = PACKAGES & {*path.parts} or any(path.resolve().is_relative_to(place) for place in (*STANDARD, *OURS))
    return path.is_absolute() and not installed


def lacks_room(error: BaseException) -> bool:
    """Whether a file could not be written because the disk is full or there is no folder for temporary files."""
    said = quote(error)
    no_folder = isinstance(error, FileNotFoundError) and "temporary directory" in said
    return no_folder or "No space left on device" in said or "Disk quota exceeded" in said


def explain_no_room(error: BaseException) -> str:
    """What to do if `lacks_room`."""
    folder = os.environ.get("TMPDIR", "/tmp")
    why = (str(error).strip().splitlines() or [""])[0][:200]
    return f"the model cannot be written to {folder} ({why}); make room there, or name another folder by TMPDIR"
