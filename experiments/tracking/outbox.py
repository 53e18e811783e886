"""The way to MLflow: Tailor writes entries at once. While MLflow is away, the spool keeps them, in order, for later."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlflow.exceptions import MlflowException

from ..errors import RunError
from .deleted import refuse_deleted_study
from .entries import Attempt, BeginAttempt, Entry
from .kinds import TRIAL, Kind
from .outage import is_away, refuses_login, refuses_request, shorten
from .reader import RecordedStudy
from .spool import Spool
from .writer import Writer

RETRY_SECONDS = 5.0  # between two tries to reach MLflow


class Outbox:
    """The outbox of one study. `say` prints when MLflow goes away and when it is back."""

    def __init__(self, study: RecordedStudy, spool: Spool, say: Callable[[str], None], kind: Kind = TRIAL) -> None:
        self.study = study
        self._writer = Writer(study, kind)
        self._spool = spool
        self._say = say
        self._tried = 0.0
        self._kind = kind
        self._deleted = set[Attempt]()  # what the screen named
        self._told = ""  # what the screen last said of MLflow

    @property
    def waiting(self) -> str:
        """How many entries wait and where, as text for the screen; empty if none does."""
        return f"entries wait in {self._spool.folder} ({len(self._spool)})" if self._spool else ""

    def find_models(self) -> set[int]:
        """The trials whose models are logged."""
        return set(self._writer.find_models())

    def put(self, entry: Entry) -> None:
        """Write an entry, or keep it; one of a deleted run is dropped. Raises RunError if Tailor can do none of these.

        Without its study's experiment and run a search has nowhere to write: it ends, and resumes once they are restored.
        """
        if not self._spool:
            try:
                self._writer.write(entry, again=False)
                return
            except Exception as error:
                if self._is_of_deleted(entry, error):
                    return
                if not self._cannot_write(error):
                    raise
                self._tell(error)
                self._tried = time.monotonic()
        try:
            self._spool.append(entry)
        except OSError as error:
            raise RunError(
                f"neither MLflow nor {self._spool.folder} can be written to ({error.strerror or error}); make room or repair it, "
                "and the same command resumes."
            ) from error

    def retry(self, at_once: bool = False) -> None:
        """Write what was kept, as far as MLflow takes it; at most every RETRY_SECONDS, unless `at_once`. Raises as `put` does."""
        if not self._spool or not (at_once or time.monotonic() - self._tried >= RETRY_SECONDS):
            return
        waited = len(self._spool)
        while self._spool:
            entry = self._spool.first()
            try:
                self._writer.write(entry, again=True)
            except Exception as error:
                if self._cannot_write(error):
                    if not at_once:
                        self._tell(error)
                    self._tried = time.monotonic()
                    return
                if not self._is_of_deleted(entry, error):  # MLflow never takes it: it must not block the entries that follow
                    self._say(f"MLflow refuses an entry that Tailor kept; Tailor drops it: {shorten(error)}")
            self._spool.drop()
        self._told = ""
        self._say(f"MLflow is back; Tailor wrote what it kept (entries: {waited})")

    def _is_of_deleted(self, entry: Entry, error: Exception) -> bool:
        """Whether MLflow refuses an entry because its attempt's run was deleted; the screen names that once an attempt.

        Raises RunError if the study was deleted.
        """
        if not isinstance(error, MlflowException) or is_away(error) or refuses_request(error):
            return False
        refuse_deleted_study(self.study)
        if entry.attempt is None or isinstance(entry, BeginAttempt) or self._writer.has_run(entry.attempt):
            return False
        if entry.attempt not in self._deleted:
            self._deleted.add(entry.attempt)
            trial, attempt = entry.attempt
            what = f"the run of attempt {attempt} was deleted in MLflow"
            self._say(f"{self._kind.describe(trial)}: {what}; the search goes on, and Tailor records no more of that attempt")
        return True

    def _cannot_write(self, error: Exception) -> bool:
        """Whether MLflow takes nothing at all now. Otherwise it refuses this entry alone, and a retry would not help."""
        return is_away(error) or (refuses_request(error) and not self._writer.may_write())

    def _tell(self, error: Exception) -> None:
        """Say once that MLflow is away, and once that it refuses the credentials."""
        refused = refuses_request(error) or refuses_login(error)
        trouble = "refuses the credentials" if refused else "cannot be written to"
        if trouble == self._told:
            return
        self._told = trouble
        kept = f"MLflow {trouble} ({shorten(error)}); training continues, and Tailor keeps the entries in {self._spool.folder}"
        todo = (
            ". Restore them on the server, and the search goes on; or press Ctrl-C, and resume with new ones by the same command"
        )
        self._say(kept + (todo if refused else ""))
