"""`tailor serve NAME`: a registered model as a web server on this machine."""

from __future__ import annotations

import click

from .common import open_store, store_option, working


@click.command("serve")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address: no password.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@store_option
def command(reference: str, port: int, host: str, workers: int, store: str | None) -> None:
    """Answer requests with a registered model, until Ctrl-C: a page for images, and a REST API.

    POST /predict (an image file), /invocations (MLflow's JSON); GET /healthz, /metrics (Prometheus), /model, /card.
    When the champion changes, the new one answers. Anybody on this machine may ask; with --host, anybody who reaches ADDRESS, by
    any name.
    """
    with working(f"loading {reference}"):
        place, client = open_store(store)
        from ..registry.versions import find_version, read_input_shape
        from ..serving.server import ANY, HERE, Application, choose_threads, serve

        version = find_version(client, reference)
    application = Application(place, reference, HERE if host in HERE else ANY, choose_threads(read_input_shape(version), workers))

    def announce() -> None:
        click.echo(f"{version.name} version {version.version}: http://{host}:{port}")
        click.echo("Stop it with Ctrl-C.")

    try:
        serve(application, host, port, workers, announce)
    except KeyboardInterrupt:
        click.echo("")
