"""The command `tailor`: one small file a command, loaded when it is used; errors and exit codes are decided here alone."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from collections.abc import Sequence

from ..system.environment import TENSORFLOW_ENV, apply_settings
from ..system.import_path import prefer_installed
from ..system.signals import NUMBERS, Ending, Interrupted
from .exit_codes import DONE, FAILED, WRONG_INPUT, say, say_interrupted


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000)  # or Python looks through MLflow's thousands of records again and again while they are read
    code = run(arguments)
    for number in NUMBERS:  # what is left is to end: a signal does that at once
        signal.signal(number, signal.SIG_DFL)
    gc.freeze()  # or Python looks through all that the libraries made, for half a second, before it lets go of it
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; errors become one line and a code, and a bug shows its traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show, a dash in Latin-1 say, is no reason to fail
    ending = Ending()
    with ending.installed():  # before anything else is imported, so that a signal ends in one line from the first moment on
        try:
            return _command(arguments)
        except KeyboardInterrupt as error:
            return say_interrupted(error)
        except Exception as error:
            if ending.caught:  # the import that a signal came into may make another error of it
                return say_interrupted(Interrupted(ending.caught[-1]))
            return _expected(error)


def _command(arguments: Sequence[str] | None) -> int:
    import click

    from ..tracking.timeouts import shorten_timeouts
    from .commands import tailor

    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # a model is a .keras file, or is not loaded
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; from Python the backend is the user's
    apply_settings(TENSORFLOW_ENV)
    try:
        with prefer_installed(), shorten_timeouts():
            return tailor.main(arguments, prog_name="tailor", standalone_mode=False) or DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return WRONG_INPUT
    except click.Abort as error:  # at a question
        return say_interrupted(error.__cause__)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `tailor … | head` is no fault
        return DONE


def _expected(error: Exception) -> int:
    from ...models.errors import ModelError
    from ...search.errors import StoreError, StudyError
    from ..errors import InputError, RunError

    if isinstance(error, (InputError, ModelError, StudyError)):
        say(str(error))
        return WRONG_INPUT
    if isinstance(error, (RunError, StoreError)):
        say(str(error))
        return FAILED
    if type(error).__module__ in ("mlflow.exceptions", "sqlalchemy.exc"):  # a server that is away, a database of another version
        say(f"MLflow: {str(error).splitlines()[0]}")
        return FAILED
    import traceback

    say(traceback.format_exc().rstrip(), mark="")
    say("this is a bug of Tailor's; please report the lines above")
    return FAILED
