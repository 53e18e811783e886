"""Stand-in."""

from __future__ import annotations

from dataclasses import dataclass

from .versions import SETTLED, find_alias


@dataclass(frozen=True)
class Why:
    verdict: str
    reason: str
    run_id: str


def settle(client, name):
    pass


def move_alias(client, name, alias, version, why):
    before = find_alias(client, name, alias)
    client.set_registered_model_alias(name, alias, version)
    if before is not None:
        client.delete_model_version_tag(name, before.version, SETTLED)
    client.set_model_version_tag(name, version, SETTLED, alias)
