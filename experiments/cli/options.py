"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .stores import STUDIES

F = TypeVar("F", bound=Callable[..., Any])


class UserPath(click.Path):
    """A path, `~` as the home folder: no shell expands it in --output=~/models or in a variable."""

    def __init__(self, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(os.path.expanduser(value), param, ctx)


def store_option(command: F) -> F:
    """Add `--store` and `--studies`; `store_at` reads both."""

    def set_studies(context: click.Context, parameter: click.Parameter, url: str | None) -> None:
        context.meta[STUDIES] = url

    command = click.option(
        "--studies",
        metavar="URL",
        expose_value=False,
        callback=set_studies,
        help="Optuna's database, such as postgresql+psycopg://USER@HOST/DB [TAILOR_STUDIES, a file in the store].",
    )(command)
    return click.option("--store", metavar="DIR", help="The folder that holds everything [TAILOR_STORE, ./mlruns].")(command)


def _check_folder(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
    """The folder. Raises UsageError for a data set's name, as study.dataset has it."""
    if folder is not None and str(folder).startswith(("folder:", "npz:", "idx:")):
        raise click.UsageError(
            f"--data: expected the folder of published data sets, got the data set {str(folder)!r}; "
            "name that in the study file, as study.dataset, or give it to `tailor init` as --dataset.",
            context,
        )
    return folder


data_option: Callable[[F], F] = click.option(
    "--data",
    envvar="TAILOR_DATA",
    metavar="DIR",
    type=UserPath(file_okay=False),
    callback=_check_folder,
    help="The folder of published data sets [TAILOR_DATA].",
)
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
name_option: Callable[[F], F] = click.option("--name", metavar="NAME", help="Keep the study under another name.")
set_option: Callable[[F], F] = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Set any key of the study file; repeatable."
)
