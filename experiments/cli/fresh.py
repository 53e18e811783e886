"""`tailor search STUDY --fresh`: the study of that name makes room for a new one, and is kept under the next free name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .common import format_next

if TYPE_CHECKING:
    from ..store import Store


def set_aside(study: str, store: Store, say: Callable[[str], None]) -> None:
    """Rename the study to STUDY-1 or the next free number. Raises InputError if it runs. Nothing to do if there is none."""
    if not store.exists:
        return
    from ..maintenance.rename import choose_name, rename
    from ..tracking.reader import find_study, open_client

    client = open_client(store)
    if find_study(client, study) is None:
        return
    kept = choose_name(client, store, study)
    rename(client, store, study, kept, say)
    say(f"the earlier study is kept as {kept}; delete it with `{format_next('delete', kept)}`")
