"""The way to MLflow: Tailor writes entries at once. While MLflow is away, the spool keeps them, in order, for later."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import RunError
from ..system.redact import mask_passwords
from .entries import Entry
from .kinds import TRIAL, Kind
from .reader import RecordedStudy
from .spool import Spool
from .writer import Writer, is_away

RETRY_SECONDS = 5.0  # between two tries to reach MLflow


class Outbox:
    """The outbox of one study. `say` prints when MLflow goes away and when it is back."""

    def __init__(self, study: RecordedStudy, spool: Spool, say: Callable[[str], None], kind: Kind = TRIAL) -> None:
        self.study = study
        self._writer = Writer(study, kind)
        self._spool = spool
        self._say = say
        self._tried = 0.0

    @property
    def waiting(self) -> str:
        """How many entries wait and where, as text for the screen; empty if none does."""
        return f"{len(self._spool)} entries wait in {self._spool.folder}" if self._spool else ""

    def find_models(self) -> set[int]:
        """The trials whose models are logged."""
        return set(self._writer.find_models())

    def put(self, entry: Entry) -> None:
        """Write an entry, or keep it. Raises RunError if Tailor can do neither."""
        if not self._spool:
            try:
                self._writer.write(entry, again=False)
                return
            except Exception as error:
                if not is_away(error):
                    raise
                self._say(
                    f"MLflow cannot be written to ({_shorten(error)}); training continues, and Tailor keeps the entries in "
                    f"{self._spool.folder}"
                )
                self._tried = time.monotonic()
        try:
            self._spool.append(entry)
        except OSError as error:
            raise RunError(
                f"neither MLflow nor {self._spool.folder} can be written to ({error.strerror or error}); make room or repair it, "
                "and the same command resumes."
            ) from error

    def retry(self, at_once: bool = False) -> None:
        """Write what was kept, as far as MLflow takes it; at most every RETRY_SECONDS, unless `at_once`."""
        if not self._spool or not (at_once or time.monotonic() - self._tried >= RETRY_SECONDS):
            return
        waited = len(self._spool)
        while self._spool:
            try:
                self._writer.write(self._spool.first(), again=True)
            except Exception as error:
                if is_away(error):
                    self._tried = time.monotonic()
                    return
                # MLflow never takes it, if its run was deleted, for example: it must not block the entries that follow.
                self._say(f"MLflow refuses an entry that Tailor kept; Tailor drops it: {_shorten(error)}")
            self._spool.drop()
        self._say(f"MLflow is back; Tailor wrote what it kept ({waited} entries)")


def _shorten(error: Exception) -> str:
    """The error's first line; for a database, the driver's, because SQLAlchemy adds hints and the statement."""
    said = getattr(error.__cause__, "orig", None) or error
    return mask_passwords((str(said).strip().splitlines() or [type(error).__name__])[0])[:200]
