"""The command `tailor`: one small file a command, loaded when it is used; errors and exit codes are decided here alone."""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from ..system.environment import TENSORFLOW_ENV, apply_settings
from ..system.import_path import installed_first
from ..system.redact import masked
from ..tracking.timeouts import impatient

COMMANDS = {
    "search": "Run a study, or go on with it.",
    "check": "Dry run: resolve a study file, build its smallest and largest model, estimate.",
    "studies": "List the shipped studies and those in the store.",
    "status": "Show how far a study is, and its leaderboard.",
    "compare": "Set trials side by side.",
    "fsck": "Mend what a killed search left.",
    "report": "Write a study's report, one page that opens offline.",
    "promote": "Register a study's best model.",
    "pull": "Fetch a registered model into a folder.",
    "predict": "Classify images with a registered model.",
    "ui": "Open MLflow's pages on the store.",
    "env": "Print what other tools need to find the store.",
    "schema": "Print the JSON Schema of a study file.",
    "doctor": "Look over the installation and say what to mend.",
}
DONE, FAILED, WRONG_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Commands(click.Group):
    """The commands by name, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f".{name}", __package__).command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}.{hint} `tailor --help` lists them.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # from the table: --help imports no command
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tailor-hpo", prog_name="tailor")
def tailor() -> None:
    """One study file in, one trusted Keras classifier in the MLflow registry out.

    Begin with:  tailor search quickstart
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    code = run(arguments)
    gc.freeze()  # or Python looks through all that the libraries made, for half a second, before it lets go of it
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; errors become one line and a code, and a bug shows its traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show, a dash in Latin-1 say, is no reason to fail
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # a model is a .keras file, or is not loaded
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; from Python the backend is the user's
    apply_settings(TENSORFLOW_ENV)
    try:
        with installed_first(), impatient():
            return tailor.main(arguments, prog_name="tailor", standalone_mode=False) or DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _say(error.format_message())
        return WRONG_INPUT
    except (KeyboardInterrupt, click.Abort) as error:
        _say("interrupted")
        return code_of(getattr(error.__cause__, "number", signal.SIGINT))  # click makes an Abort of what came
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `tailor … | head` is no fault
        return DONE
    except Exception as error:
        return _expected(error)


def code_of(number: int) -> int:
    """The exit code of a session that a signal ended, 0 for none."""
    return {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}.get(number, DONE)  # type: ignore[call-overload]


def _expected(error: Exception) -> int:
    from ...models.errors import ModelError
    from ...search.errors import StoreError, StudyError
    from ..errors import InputError, RunError

    if isinstance(error, (InputError, ModelError, StudyError)):
        _say(str(error))
        return WRONG_INPUT
    if isinstance(error, (RunError, StoreError)):
        _say(str(error))
        return FAILED
    if type(error).__module__ in ("mlflow.exceptions", "sqlalchemy.exc"):  # a server that is away, a database of another version
        _say(f"MLflow: {str(error).splitlines()[0]}")
        return FAILED
    click.echo(masked(traceback.format_exc()).rstrip(), err=True)
    _say("this is a bug of Tailor's; please report the lines above")
    return FAILED


def _say(text: str) -> None:
    click.echo(f"tailor: {masked(text)}", err=True)
