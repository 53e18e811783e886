"""`tailor export NAME --format FORMAT -o DIR`: write a registered model as ONNX, LiteRT or SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import UserPath, data_option, json_option, store_option
from .screen import keep_stdout_for_json, print_json, working
from .stores import open_store

if TYPE_CHECKING:
    from ..export.convert import Port
    from ..export.export import Exported


@click.command("export")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.option("--format", "form", required=True, metavar="onnx|litert|savedmodel", help="What other tools run.")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=UserPath(),
    help="A new or empty folder [NAME-VERSION-FORMAT in the current folder].",
)
@click.option("--int8", is_flag=True, help="LiteRT in 8 bits, calibrated with training images: a quarter of the size.")
@click.option("--unchecked", is_flag=True, help="Compare it with nothing, if the study's data is gone.")
@click.option("--force", is_flag=True, help="Replace the export in DIR.")
@json_option
@store_option
@data_option
def command(
    reference: str, form: str, output: Path | None, as_json: bool, store: str | None, data: Path | None, **flags: bool
) -> None:
    """Write a registered model (its champion by default) as ONNX, LiteRT or SavedModel, for tools without Keras.

    Tailor runs what it wrote on 200 holdout images. The probabilities must agree with the original's; in int8 the likeliest
    class must be the same on 95 % of them. How closely they agree is printed, and recorded in DIR/export.json and on the version.
    """
    from ..system.forkserver import loading

    with keep_stdout_for_json(as_json), working(f"exporting {reference}"), loading():  # TensorFlow, beside MLflow here
        from ..export.export import Wanted, export
        from ..registry.versions import find_version

        _, client = open_store(store)
        done = export(client, find_version(client, reference), Wanted(form, output, **flags), data)
    if as_json:
        print_json({"folder": str(done.folder), **done.about})
    else:
        _print(done)


def _print(done: Exported) -> None:
    click.echo(f"{done.name} version {done.version} as {done.format} in {done.folder} ({done.about['bytes']:,} bytes)")
    click.echo(f"  takes   {_format(done.input)}: raw images, 0 to 255; rescaling: {done.about['input']['rescaling']}")
    click.echo(f"  returns {_format(done.output)}: probabilities of the classes in labels.json")
    click.echo(f"  agrees  {done.agreement or 'unchecked: it was not compared with its original'}")


def _format(port: Port) -> str:
    return f"{port.name!r} {port.dtype} ({', '.join('n' if size is None else str(size) for size in port.shape)})"
