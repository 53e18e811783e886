"""The commands that a message tells you to run, with the options of this one that say where everything is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from ..system.redact import mask_passwords

STORELESS = {"check", "completion", "init", "schema"}  # commands that take no --store, and read nothing of it
WITH_DATA = {"check", "compress", "ensemble", "export", "lr-range", "promote", "reproduce", "search"}  # that read a data set
NAMED = re.compile(r"(?<=`)tailor ([a-z][a-z-]*)[^`]*(?=`)|(?<=\$\()tailor (env)(?=\))")  # `tailor status digits`, $(tailor env)


def add_options(text: str, arguments: Sequence[str]) -> str:
    """The text with these arguments' --store, --studies and --data at each command in it that takes them."""

    def add(found: re.Match[str]) -> str:
        given = {name: find_option(name, arguments) for name in ("--store", "--studies", "--data")}
        words = list_places(found[1] or found[2], given)
        return found[0] if "--store" in found[0] else " ".join([found[0], *map(shlex.quote, words)])

    return mask_passwords(NAMED.sub(add, text))


def list_places(command: str, given: dict[str, str | None]) -> list[str]:
    """Those of the given options that the command takes, as words of a command line."""
    taken = [] if command in STORELESS else ["--store", "--studies"]
    taken += ["--data"] if command in WITH_DATA else []
    return [word for name in taken if (value := given.get(name)) is not None for word in (name, value)]


def find_option(name: str, arguments: Sequence[str]) -> str | None:
    """The value that the arguments give to an option, the last one; None if they don't."""
    found = None
    for word, after in zip(arguments, [*arguments[1:], None], strict=False):
        if word == "--":
            break
        if word == name:
            found = after
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found
