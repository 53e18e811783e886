"""Commands to run next, in lists and in messages, with the options of this one that say where everything is."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

import click
from click.core import ParameterSource

from ..system.redact import mask_passwords
from .stores import STUDIES

STORELESS = {"check", "completion", "init", "schema"}  # commands that take no --store, and read nothing of it
WITH_DATA = {"check", "compress", "ensemble", "export", "lr-range", "promote", "reproduce", "search"}  # that read a data set
NAMED = re.compile(r"(?<=`)tailor ([a-z][a-z-]*)[^`]*(?=`)|(?<=\$\()tailor (env)(?=\))")  # `tailor status digits`, $(tailor env)


def format_next(*words: str) -> str:
    """A command to run next, quoted for a shell, with this command's `--store`, `--studies` and `--data`, if it was given."""
    context, given = click.get_current_context(silent=True), dict[str, str | None]()
    if context is not None:
        given = {"--store": context.params.get("store"), "--studies": context.meta.get(STUDIES)}
        if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:  # a variable holds for the next command too
            given["--data"] = str(context.params["data"])
    return mask_passwords(shlex.join(["tailor", *words, *list_places(words[0], given)]))


def repeat_command(command: str = "", but: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """The command line as you typed it, for another command, or without the options `but`, which have values, and the flags
    `without`.
    """
    words, given = ["tailor"], iter(sys.argv[1:])
    for word in given:
        if word in but:
            next(given, None)
        elif word not in without and word.partition("=")[0] not in but:
            words.append(word)
    words[1:2] = [command or words[1]]
    return mask_passwords(shlex.join(words))


def format_by_hand(name: str, version: str) -> str:
    """The line that makes that version the champion without any judgement: MLflow's own call."""
    from ..registry.versions import CHAMPION

    code = f'from mlflow import MlflowClient; MlflowClient().set_registered_model_alias("{name}", "{CHAMPION}", "{version}")'
    return f'eval "$({format_next("env")})"; {shlex.join(["python", "-c", code])}'


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
