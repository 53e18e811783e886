"""`tailor promote STUDY --to NAME`: choose a study's best model, judge it, and register it."""

from __future__ import annotations

from typing import Any

import click

from .options import data_option, json_option, store_option
from .promotion import promotion_options, run_promotion


@click.command("promote")
@click.argument("study", metavar="STUDY[:TRIAL]")
@promotion_options
@click.option("--quick", is_flag=True, help="Take the best trial's own model: train nothing again.")
@click.option("--candidates", type=int, metavar="N", help="How many of the best trials are trained again [3].")
@click.option("--seeds", type=int, metavar="N", help="On how many fresh seeds each [3].")
@click.option("--register", metavar="median|average|refit", help="What is registered of the winner's seeds [median].")
@click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler whose workers train the candidates (tcp://HOST:8786).")
@json_option
@store_option
@data_option
def command(study: str, as_json: bool, quick: bool, **given: Any) -> int:
    """Choose STUDY's best model on data that no search has seen, judge it against NAME's champion, and register it.

    The best trials are trained again on fresh seeds and ranked on the holdout split. The winner meets the champion on the test
    split. Exit codes: 0 it is champion, 3 it is not (a challenger, not shown to be better), 4 refused by a gate.
    """
    return run_promotion(study, "quick" if quick else "candidates", as_json, given)
