"""Stand-in."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

from ..system.file_lock import hold_lock


@contextmanager
def hold_name(client, store, name, say):
    with hold_lock(store.locks / f".promote-{hashlib.sha256(name.encode()).hexdigest()[:16]}"):
        yield
