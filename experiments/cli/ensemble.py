"""`tailor ensemble STUDY --to NAME`: combine a study's models into one, judge it, and register it."""

from __future__ import annotations

from typing import Any

import click

from .options import data_option, json_option, store_option
from .promotion import promotion_options, run_promotion


@click.command("ensemble")
@click.argument("study")
@promotion_options
@click.option("--parts", "ensemble", type=int, metavar="N", help="The most parts that models are weighted by [20].")
@json_option
@store_option
@data_option
def command(study: str, as_json: bool, **given: Any) -> int:
    """Combine STUDY's kept models into one that averages their probabilities, judge it as `promote` does, and register it.

    Models are added one by one, with replacement, while that helps on the holdout split (Caruana et al. 2004). The result is one
    Keras model, which loads like any other. Exit codes as of `promote`.
    """
    return run_promotion(study, "ensemble", as_json, given)
