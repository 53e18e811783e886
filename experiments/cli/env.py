"""`tailor env`: what other tools need to find the store."""

from __future__ import annotations

import shlex

import click

from .hints import format_next
from .options import json_option, store_option
from .screen import print_json
from .stores import store_at


@click.command("env")
@json_option
@store_option
def command(as_json: bool, store: str | None) -> None:
    """Print the lines that point mlflow, optuna-dashboard or a script at the store:  eval "$(tailor env)" """
    from ..system.redact import mask_passwords

    place = store_at(store)
    variables = {
        "MLFLOW_TRACKING_URI": place.tracking_uri,
        "MLFLOW_REGISTRY_URI": place.tracking_uri,
        "TAILOR_STORE": str(place.root),
        "OPTUNA_STORAGE": place.optuna_url,
    }
    if place.studies:
        variables["TAILOR_STUDIES"] = place.studies
    if as_json:
        print_json({name: mask_passwords(value) for name, value in variables.items()})
        return
    for name, value in variables.items():
        hidden = mask_passwords(value) != value
        click.echo(f"# {name} holds a password; set it yourself" if hidden else f"export {name}={shlex.quote(value)}")
    click.echo(f'# eval "$({format_next("env")})", then: mlflow experiments search, or optuna-dashboard "$OPTUNA_STORAGE"')
