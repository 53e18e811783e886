"""`tailor schema`: the JSON Schema of a study file."""

from __future__ import annotations

import click

from .screen import print_json


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a study file, by which an editor completes it."""
    from ...models.factory import BUILT_IN
    from ...models.training import options
    from ...search.study.schema import schema
    from ..datasets.catalog import NAMES

    print_json(schema(options.schema(), NAMES, tuple(BUILT_IN)))
