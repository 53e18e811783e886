"""`tailor init`: write a starter study file that `tailor check` accepts."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .hints import format_next
from .options import UserPath, data_option

if TYPE_CHECKING:
    from ..planning.starter import Starter

RESIZED = (64, 64)
FILE = Path("study.toml")


@click.command("init")
@click.argument("file", default=FILE, type=UserPath(dir_okay=False))
@click.option("--dataset", metavar="DATA", help="digits, fashion-mnist, folder:DIR, npz:FILE or idx:DIR [what lies here].")
@click.option(
    "--model",
    metavar="MODEL",
    help="mlp, cnn, …, FILE.py:FUNCTION [a `build` that lies here, mlp for digits, cnn].",
)
@click.option("--name", metavar="NAME", help="The study's name [the file's, or DATA-MODEL].")
@data_option
def command(file: Path, dataset: str | None, model: str | None, name: str | None, data: Path | None) -> None:
    """Write a starter study file, FILE [study.toml]. On a terminal it asks what you do not give."""
    from ...search.study.load import check_name
    from ..datasets.catalog import check_uri
    from ..errors import InputError
    from ..planning.starter import Starter, guess_dataset, guess_model, holds_image, make_name, name_study

    if file.suffix != ".toml":
        raise InputError(f"FILE: expected a name that ends in .toml, got {str(file)!r}.")
    if os.path.exists(file):
        raise InputError(f"FILE: {file} is there already, and is not overwritten; name another file.")
    dataset = dataset or _ask("Data set (digits, fashion-mnist, folder:DIR, npz:FILE, idx:DIR)", guess_dataset(Path()))
    check_uri(dataset, "--dataset")
    model = model or _ask("Model (mlp, cnn, resnet, separable, transfer, FILE.py:FUNCTION)", guess_model(Path(), dataset))
    default = name_study(dataset, model) if file == FILE else make_name(file.stem)  # several folders may share a store
    name = check_name("--name", name or _ask("Name of the study", default))
    _write(file, Starter(name, dataset, model), data)
    if dataset == "digits" and holds_image(Path()):
        click.echo("The images in this folder are not used: a data set has a folder a class. Perhaps it begins one folder up.")
    click.echo(f"Wrote {file}: model {model} on {dataset}; read it, then:")
    click.echo(f"  {format_next('check', str(file))}     what it searches, and how long that takes")
    click.echo(f"  {format_next('search', str(file))}")


def _ask(question: str, default: str) -> str:
    """The person's answer; the default if nobody can be asked."""
    return str(click.prompt(question, default=default)) if sys.stdin.isatty() else default


def _write(file: Path, starter: Starter, data: Path | None) -> None:
    """Write the file whole, once it is a valid study whose data can be read. Raises what `tailor check` raises."""
    from ...models.errors import ModelError
    from ...search.errors import StudyError
    from ..errors import InputError
    from ..planning.resolve import open_data
    from ..planning.study_file import read_study

    draft = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        draft.write_text(starter.write(), encoding="utf-8")
        try:
            spec = read_study(draft)
        except (StudyError, ModelError, InputError) as error:  # in the options' words: nobody sees the draft
            said = re.sub(rf"{re.escape(str(draft))}:\d+: study\.(\w+)", r"--\1", str(error)).replace(f" in {draft}", "")
            raise InputError(said) from error
        try:
            open_data(spec, data)
        except InputError as error:
            if "image_size" not in str(error) or starter.image_size is not None:
                raise
            _write(file, replace(starter, image_size=RESIZED), data)
            return
        os.link(draft, file)
    except FileExistsError as error:
        raise InputError(f"FILE: {file} is there already, and is not overwritten; name another file.") from error
    except OSError as error:
        raise InputError(f"FILE: {file} cannot be written ({error.strerror}); name another file.") from error
    finally:
        with suppress(OSError):  # there is none, or its name is too long
            draft.unlink()
