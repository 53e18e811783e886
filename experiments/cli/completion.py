"""`tailor completion SHELL`: the script that lets a shell complete commands, options, studies and models."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def command(shell: str) -> None:
    """Print what lets SHELL complete commands, options, studies and models.

    For bash and zsh put into your profile:  eval "$(tailor completion bash)"
    """
    from click.shell_completion import get_completion_class

    from .bash_completion import register
    from .commands import tailor

    register()
    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(tailor, {}, "tailor", "_TAILOR_COMPLETE").source())
