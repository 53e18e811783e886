"""`tailor ui [STUDY]`: MLflow's pages on the store."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from ..system.redact import mask_passwords
from .options import store_option
from .screen import working
from .stores import find_recorded, open_store


@click.command("ui")
@click.argument("study", required=False)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@store_option
def command(study: str | None, port: int, no_browser: bool, store: str | None) -> None:
    """Open MLflow's pages on the store: the list of studies; with STUDY, its trials: best first, curves, hyperparameters."""
    with working("opening the store"):
        place, client = open_store(store)
        from ..tracking import ui_links

        base = ui_links.make_base_url(place.tracking_uri, port)
        if study is None:
            pages = [ui_links.make_list_url(base)]
        else:
            experiment_id = find_recorded(client, study).experiment_id
            pages = [ui_links.make_study_url(base, experiment_id), ui_links.make_study_url(base, experiment_id, charts=False)]
    if study is None and (place.studies or _is_used(place.root / "studies.db")):
        click.echo(f"Optuna's own pages of the same studies: pip install optuna-dashboard, then  {_dashboard(place.optuna_url)}")
    if place.served:
        _show(pages, no_browser)
        return

    with ExitStack() as stack:
        with working("starting MLflow's server"):
            from ..tracking.server import mlflow_server

            server = stack.enter_context(mlflow_server(place, port))
        _show(pages, no_browser)
        click.echo("Stop it with Ctrl-C.")
        try:
            server.wait()
        except KeyboardInterrupt:
            click.echo("")


def _is_used(database: Path) -> bool:
    """Whether Optuna has written to its file: a store is made with an empty one."""
    return database.is_file() and database.stat().st_size > 0


def _dashboard(address: str) -> str:
    """The command for optuna-dashboard; it shows no password."""
    if mask_passwords(address) != address:
        return 'optuna-dashboard "$TAILOR_STUDIES"' if os.environ.get("TAILOR_STUDIES") == address else "optuna-dashboard URL"
    return shlex.join(["optuna-dashboard", address])


def _show(pages: list[str], no_browser: bool) -> None:
    for page, what in zip(pages, ("Trials best first, with curves", "As a table of hyperparameters"), strict=False):
        click.echo(f"{what if len(pages) > 1 else 'Studies'}: {page}")
    desktop = sys.platform in ("darwin", "win32") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if desktop and not no_browser and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(pages[0])
