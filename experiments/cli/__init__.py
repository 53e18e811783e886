"""The command `tailor`: one small file for each command, loaded when you call it. Only this file turns errors into exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from gc import freeze, set_threshold
from typing import TYPE_CHECKING

from ..system.environment import TENSORFLOW_ENV, apply_settings, reset_warnings
from ..system.import_path import prefer_installed
from ..system.signals import NUMBERS, Ending, Interrupted
from .exit_codes import DONE, FAILED, WRONG_INPUT, say, say_interrupted

if TYPE_CHECKING:
    import click


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    set_threshold(100_000)  # or Python looks through MLflow's thousands of records again and again while they are read
    code = run(arguments)
    for number in NUMBERS:  # only the exit is left: a signal may end it at once
        signal.signal(number, signal.SIG_DFL)
    freeze()  # otherwise Python's last collection walks the libraries' objects for half a second
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: an error becomes one line, a bug shows its traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a dash that Latin-1 lacks is no reason to fail
    ending = Ending()
    with ending.installed():  # before any import: a signal ends in one line from the start
        try:
            return _command(arguments)
        except KeyboardInterrupt as error:
            return say_interrupted(error)
        except Exception as error:
            if ending.caught:  # an import that a signal interrupts may raise another error
                return say_interrupted(Interrupted(ending.caught[-1]))
            return _expected(error, sys.argv[1:] if arguments is None else arguments)


def _command(arguments: Sequence[str] | None) -> int:
    import click

    from ..tracking.timeouts import shorten_timeouts
    from .commands import tailor

    if "_TAILOR_COMPLETE" in os.environ:  # a shell asks for completions
        from .bash_completion import register

        register()
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # Tailor loads .keras files only
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; from Python the user chooses the backend
    apply_settings(TENSORFLOW_ENV)
    reset_warnings()
    try:
        with prefer_installed(), shorten_timeouts():
            return tailor.main(arguments, prog_name="tailor", standalone_mode=False) or DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message(), mark="")
    except click.ClickException as error:
        say(_advise(error))
    except click.Abort as error:  # at a question
        return say_interrupted(error.__cause__)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `tailor … | head` is no error
        return DONE
    return WRONG_INPUT


def _advise(error: click.ClickException) -> str:
    """What is wrong with the call, and which --help says what is right."""
    said, context = error.format_message(), getattr(error, "ctx", None)  # of a usage error
    if context is None or "--help`" in said:
        return said
    return f"{said if said.endswith('?') else said.rstrip('.') + '.'} `{context.command_path} --help` shows what it takes."


def _find_full_disk(error: Exception, arguments: Sequence[str]) -> str | None:
    from ..errors import InputError
    from ..store import Store
    from ..tracking.full_disk import explain_full_disk
    from .hints import find_option

    try:
        return explain_full_disk(error, Store.at(find_option("--store", arguments)))
    except InputError:  # no store
        return None


def _expected(error: Exception, arguments: Sequence[str]) -> int:
    from ...models.errors import ModelError
    from ...search.errors import StoreError, StudyError
    from ..errors import InputError, RunError
    from .hints import add_options

    if isinstance(error, (InputError, ModelError, StudyError)):
        say(add_options(str(error), arguments))
        return WRONG_INPUT
    if isinstance(error, (RunError, StoreError)):
        say(add_options(str(error), arguments))
        return FAILED
    if (line := _find_full_disk(error, arguments)) is not None:
        say(line)
        return FAILED
    if type(error).__module__ in ("mlflow.exceptions", "sqlalchemy.exc"):  # MLflow is away, or its database has another version
        from ..tracking.outage import explain

        say(explain(error))
        return FAILED
    import traceback

    say(traceback.format_exc().rstrip(), mark="")
    say("this is a bug of Tailor's; please report the lines above")
    return FAILED
