"""`tailor serve NAME`: a registered model as a web server on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..errors import InputError
from .options import store_option
from .screen import working
from .stores import open_store


@click.command("serve")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]|DIR")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address: no password.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@store_option
def command(reference: str, port: int, host: str, workers: int, store: str | None) -> None:
    """Answer requests with a registered model, until Ctrl-C: a page for images, and a REST API.

    DIR is a folder of `tailor export NAME --format litert`, and needs no store. POST /predict (an image), /invocations (MLflow's
    JSON); GET /healthz, /metrics (Prometheus), /model, /card. When the champion changes, the new one answers. Anybody on this
    machine may ask; with --host, anybody who reaches ADDRESS, by any name.
    """
    from ..serving.exported import is_folder, read_about

    if not host.strip():  # to a socket, every address
        raise InputError(f"--host: expected an address or a name of this machine, such as 127.0.0.1, got {host!r}.")
    with working(f"loading {reference}"):
        from ..serving.server import ANY, HERE, Application, Exported, Registered, choose_threads, serve

        source: Exported | Registered
        if is_folder(reference):
            source = Exported(Path(os.path.expanduser(reference)))
            about = read_about(source.folder)
            served = f"{about['name']} version {about['version']}, from the folder {source.folder}"
        else:
            place, client = open_store(store)
            from ..registry.versions import find_version, read_input_shape

            version = find_version(client, reference)
            served = f"{version.name} version {version.version}"
            source = Registered(place, reference, choose_threads(read_input_shape(version), workers))
    application = Application(source, HERE if host in HERE else ANY)

    def announce() -> None:
        click.echo(f"{served}: http://{host}:{port}")
        click.echo("Stop it with Ctrl-C.")

    try:
        serve(application, host, port, workers, announce)
    except KeyboardInterrupt:
        click.echo("")
