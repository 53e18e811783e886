"""The group of Tailor's commands: each is one small file, imported when you call it."""

from __future__ import annotations

import importlib
from typing import Any

import click

from .exit_codes import say_interrupted
from .table import COMMANDS


class Commands(click.Group):
    """The commands by name, each imported when you call it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f".{name.replace('-', '_')}", __package__).command
        if ctx.resilient_parsing:  # a shell asks for completions
            from .complete import complete_arguments

            complete_arguments(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}.{hint} `tailor --help` lists them.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # from the table, so that --help imports no command
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # click would print an empty line and lose the signal
            raise click.exceptions.Exit(say_interrupted(error)) from error


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tailor-hpo", prog_name="tailor")
def tailor() -> None:
    """One study file in, one trusted Keras classifier in the MLflow registry out.

    Start with:  tailor search quickstart
    """
