"""The errors of this room: a wrong study file or option, and a database of studies that cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudyError(ValueError):
    """A study file or an option over it is wrong; the message says the field, what was expected, what came, what to do."""


class StoreError(RuntimeError):
    """The engine's database cannot be read or written; the message says why and what to do."""


def quote(error: BaseException) -> str:
    """The error's message, also of a class whose own code fails to say it."""
    try:
        return str(error)
    except Exception:
        return "(its message cannot be read)"


def storable(text: str) -> str:
    """The text as every store takes it: what UTF-8 lacks and NUL, which PostgreSQL refuses, as escapes such as \\x00."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


SYNONYMS = {"min": "low", "max": "high", "from": "low", "to": "high", "values": "choices", "options": "choices"}
MANY = 12  # names beside a near one would hide it
SYNONYMS |= {"lr": "learning_rate", "batch": "batch_size", "n_trials": "trials", "metric": "objective"}


def unknown(kind: str, name: str, known: Iterable[str]) -> StudyError:
    """The error for an unknown name: it lists the known ones and suggests the nearest."""
    names = list(known)
    hint = suggest(name, names)
    listed = "" if hint and len(names) > MANY else f" Known: {', '.join(names)}."
    return StudyError(f"{kind}: no such name {name!r}.{hint}{listed}")


def suggest(name: str, known: Iterable[str]) -> str:
    """A question with the nearest of the known names, to follow a sentence; empty if none is near."""
    names = list(known)
    begun = [one for one in names if one.startswith(name)] if name else []
    near = [SYNONYMS[name]] if SYNONYMS.get(name) in names else difflib.get_close_matches(name, names, n=1) or begun
    return f" Did you mean {near[0]!r}?" if near else ""
