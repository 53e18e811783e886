"""A study file with the command line's options over it, as a checked spec; all mistakes at once, each with its line."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...models.errors import ModelError
from ...search.errors import StudyError
from ...search.study.load import TABLES, build, read_laid
from ...search.study.spec import StudySpec
from ..errors import InputError
from .resolve import find_file, validate

Mistake = StudyError | ModelError | InputError
STAND_INS = {  # for keys that must be there
    "study.name": "study",
    "study.dataset": "digits",
    "study.model": "stand:in",
    "study.objective": "val_accuracy",
    "study.direction": "maximize",
}
MOST = 50  # mistakes that are looked for


def read_study(study: str | Path, overrides: Iterable[str] = (), name: str | None = None) -> StudySpec:
    """A shipped study, or a study file, as a record. `overrides` are SECTION.KEY=VALUE; `name` renames it.

    Raises InputError if there is none; and StudyError, ModelError or InputError with all mistakes of the file and their lines. It
    looks at neither the data nor the model's code.
    """
    path, settings = find_file(str(study)), list(overrides)
    laid = [re.sub("[\"']", "", text.partition("=")[0]) for text in settings] + (["study.name"] if name is not None else [])
    return check_tables(read_laid(path, settings, name), path, laid)


def check_tables(raw: Mapping[str, Any], path: Path, laid: Iterable[str] = ()) -> StudySpec:
    """The spec of a file's tables, over which the fields `laid` were set. Raises as `read_study` does."""
    try:
        return validate(build(raw))
    except (StudyError, ModelError, InputError) as error:
        lines = find_lines(path.read_text(encoding="utf-8"))
        found = [(find_line(str(one), lines, list(laid)), str(one)) for one in find_mistakes(raw, error)]
        said = [f"{path}:{line}: {text}" if line else text for line, text in sorted(found, key=lambda one: one[0] or 0)]
        more = f"{len(said)} mistakes in {path}:\n" if len(said) > 1 else ""
        raise type(error)(more + "\n".join(said)) from error


def find_mistakes(raw: Mapping[str, Any], first: Mistake) -> Iterator[Mistake]:
    """The first mistake of the tables and those that are left without the keys that were wrong."""
    left, error, blamed, said = copy.deepcopy(dict(raw)), first, list[str](), ""
    for _ in range(MOST):
        field = find_field(str(error))
        name = field.rpartition(".")[2]
        if field not in blamed and not _follows(str(error), name, [other.rpartition(".")[2] for other in blamed], said):
            yield error
        said += str(error)
        if field == "study.space" or name in blamed or not _drop(left, field):  # of no space, other mistakes would be said
            return
        blamed.append(field)
        try:
            validate(build(left))
            return
        except (StudyError, ModelError, InputError) as another:
            error = another


def _follows(message: str, name: str, blamed: list[str], said: str) -> bool:
    """Whether a mistake only follows from what was said: it quotes such a key, or misses one that had another name or place."""
    return bool(
        any(repr(other) in message for other in blamed)
        or ("it is missing" in message and (name in blamed or f"Did you mean {name!r}?" in said))
        or ("engine" in blamed and ": engine " in message)  # what another engine has not
        or (blamed and "it cannot repeat one" in message)  # [space] may be empty without them
    )


def find_field(message: str) -> str:
    """The field that an error begins with, as SECTION.KEY; empty if it names none."""
    match = re.match(r"\[?([\w.-]+(?:\[\d+\][\w.-]*)?)\]?(?: \([^:]*\))?: ", message)
    if match is None:
        return ""
    unknown = re.search(r": no such name '([^']+)'", message)
    return f"{match[1]}.{unknown[1]}" if unknown and "." not in match[1] else match[1]


def _drop(tables: dict[str, Any], field: str) -> bool:
    """Remove a field, or put its stand-in there; False if it is not there."""
    section, _, name = field.partition(".")
    if field == "study" and field not in tables:
        tables[field] = {key.removeprefix("study."): STAND_INS[key] for key in ("study.name", "study.dataset", "study.model")}
        return True
    if not name and section in tables and section not in TABLES:  # a section that there is not, or a key before the first one
        del tables[section]
        return True
    places = [section] if name else ["space", "training"]  # a parameter that stands in both is named alone
    name, found = name or section, False
    for place in places:
        table = _find_table(tables, place)
        if field in STAND_INS and isinstance(table, dict) and table.get(name) != STAND_INS[field]:
            table[name], found = STAND_INS[field], True
        elif isinstance(table, dict) and (key := next((k for k in _shorten(name) if k in table), None)) is not None:
            del table[key]
            found = True
            break
    return found


def _find_table(tables: Mapping[str, Any], place: str) -> Any:
    """A section's table; that of a point for `enqueue[1]`."""
    array = re.fullmatch(r"(\w+)\[(\d+)\]", place)
    return tables[array[1]][int(array[2])] if array else tables.get(place)


def _shorten(name: str) -> Iterator[str]:
    """The dotted name, and what it begins with: a.b.c, a.b, a."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def find_lines(text: str) -> dict[str, int]:
    """The line of each key, as SECTION.KEY, and of each section; of the second [[enqueue]] as `enqueue[1]`."""
    found, section, tables = dict[str, int](), "", Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*(\[+)\s*([\w.-]+)\s*\]", line):
            section = match[2]
            found.setdefault(section, number)
            if match[1] == "[[":
                section = f"{match[2]}[{tables[match[2]]}]"
                tables[match[2]] += 1
                found[section] = number
        elif match := re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", line):
            found.setdefault(f"{section}.{match[1]}" if section else match[1], number)
    return found


def find_line(message: str, lines: Mapping[str, int], laid: Iterable[str]) -> int | None:
    """The line of the file that a mistake is in; None if an option of the command line made it, or it names no field."""
    field = find_field(message)
    table = re.sub(r"\[\d+\]", "", field)
    if any(name.startswith(("space.", "training.")) for name in laid):  # it takes a parameter out of the points, and empties some
        field = table
    names = [name for one in dict.fromkeys((field, table)) for name in _shorten(one)]
    names += [f"space.{name}" for name in _shorten(table)]
    if not field or any(name in laid for name in names if "." in name):
        return None
    return next((lines[name] for name in names if name in lines), 1 if field == "study" else None)
