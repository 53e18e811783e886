"""Whether this store's engines know a study whose trials ended: they may keep it in another studies' database."""

from __future__ import annotations

from ...search.engines.states import has_state
from ..coordinator.reconcile import find_outcome
from ..store import Store
from ..tracking.reader import RecordedStudy


def lacks_state(store: Store, study: RecordedStudy) -> bool:
    """Whether trials of the study ended, and no engine of this store knows it."""
    if has_state(study.name, store.known_studies_url, store.oracles):
        return False
    return any(find_outcome(one, study.goal) is not None for one in study.read_attempts())
