"""One process at a time judges the versions of a registered name and moves its aliases; the others wait for their turn.

Within a store a file's lock is enough. On a shared MLflow, which has no compare-and-set, processes draw numbers as in a bakery
(Lamport 1974): each writes a tag of its own on the registered model, and the lowest number has its turn. No two processes write
one tag, so no write is ever lost. The tag of a process that died is removed after STALE seconds without a sign of life.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from ..errors import RunError
from ..store import Store
from ..system.file_lock import hold_lock
from ..tracking.lease import BEAT, STALE, Owner, Timing, describe_owner
from ..tracking.outage import is_away
from .versions import DESCRIPTION, MISSING, list_versions

TAG = "tailor.turn."  # and the owner's token
POLL = 0.5  # seconds between two looks at the queue
EXISTS = "RESOURCE_ALREADY_EXISTS"


@contextmanager
def hold_name(client: MlflowClient, store: Store, name: str, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Hold a registered name for the block, which is waited for; `say` gets a line if that takes long.

    Yields a function that raises RunError if another process has taken the name over, because this one seemed dead: call it just
    before a write that must not happen then. A name that is new, and got nothing in the block, is not there afterwards.
    """
    path = f".promote-{hashlib.sha256(name.encode()).hexdigest()[:16]}"  # a name may be as long as a file's
    with (
        store.reserved(),
        hold_lock(store.locks / path, lambda: say(f"waiting for another promotion or rollback of {name!r} in this store")),
    ):
        if store.local:
            yield lambda: None
            return
        turn = Turn(client, name, Owner.of_this_process(store), Timing())
        try:
            turn.take(say)
            with _renewed(turn):
                yield turn.check
        finally:
            turn.leave()


@dataclass(frozen=True)
class Ticket:
    """A process's place in the queue; its number is 0 while it draws one."""

    number: int
    owner: Owner

    @classmethod
    def parse(cls, text: str) -> Ticket:
        plain = json.loads(text)
        return cls(plain["number"], Owner(**plain["owner"]))

    @property
    def order(self) -> tuple[int, str]:
        return self.number, self.owner.token


class Turn:
    """One process's turn at a registered name. Its owner has the store's lock of the name."""

    def __init__(self, client: MlflowClient, name: str, owner: Owner, timing: Timing) -> None:
        self._client = client
        self._name = name
        self._timing = timing
        self._mine = Ticket(0, owner)
        self._key = TAG + owner.token
        self._renewed = 0.0
        self._said = False
        self._seen: dict[str, tuple[str, float]] = {}  # the other tickets' texts, and since when they are so

    def take(self, say: Callable[[str], None]) -> None:
        """Wait for this process's turn."""
        while not (self._draw() and self._wait(say)):
            pass  # the new name was removed again meanwhile, or this process slept so long that it seemed dead

    def check(self) -> None:
        """Raise RunError if this process seemed dead, and another one may have the turn."""
        try:
            lost = self._key not in self._read().tags
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            lost = True
        if lost:
            raise RunError(
                f"{self._name}: this process gave no sign of life for {STALE:g} s, and another one may have taken its turn; "
                "nothing was moved. Run the command again."
            )

    def renew(self) -> None:
        """Give a sign of life, if it is time; not once this process has lost its ticket."""
        if self._timing.now() - self._renewed < BEAT:
            return
        try:
            if self._key in self._read().tags:
                owner = self._mine.owner
                self._write(replace(self._mine, owner=replace(owner, beats=owner.beats + 1)))
        except Exception as error:  # `check` finds out what it means
            if not (is_away(error) or isinstance(error, MlflowException)):
                raise

    def leave(self) -> None:
        """Let the next one have its turn, if MLflow is reachable; a name that is empty is removed."""
        try:
            model = self._read()
            if self._key not in model.tags:
                return
            bare = model.description == DESCRIPTION and set(model.tags) == {self._key}
            if bare and not list_versions(self._client, self._name):
                with suppress(MlflowException):  # only its maker may, where users have rights
                    self._client.delete_registered_model(self._name)
                    return
            self._client.delete_registered_model_tag(self._name, self._key)
        except Exception as error:
            if not (is_away(error) or (isinstance(error, MlflowException) and error.error_code == MISSING)):
                raise

    def _draw(self) -> bool:
        """Draw a number, one more than the highest. Returns False if the name went away, or if this process seemed dead."""
        try:
            self._client.create_registered_model(self._name, description=DESCRIPTION)
        except MlflowException as error:
            if error.error_code != EXISTS:
                raise
        begun = self._timing.now()
        try:
            self._write(replace(self._mine, number=0))
            highest = max((ticket.number for ticket in _parse(self._read().tags).values()), default=0)
            self._write(replace(self._mine, number=highest + 1))
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            return False
        return self._timing.now() - begun < STALE / 2

    def _wait(self, say: Callable[[str], None]) -> bool:
        """Wait until no other process is before this one. Returns False if this one lost its ticket."""
        while True:
            try:
                tickets = _parse(self._read().tags)
            except MlflowException as error:
                if error.error_code != MISSING:
                    raise
                return False
            if tickets.pop(self._key, None) is None:
                return False
            before = {k: t for k, t in tickets.items() if t.number == 0 or t.order < self._mine.order}
            if not before:
                return True
            if not self._remove_dead(before):
                if not self._said:
                    self._said = True
                    first = min(before.values(), key=lambda ticket: ticket.order)
                    say(f"{self._name}: waiting for {describe_owner(first.owner)}, which promotes or rolls back")
                self._timing.sleep(POLL)
                self.renew()

    def _remove_dead(self, tickets: Mapping[str, Ticket]) -> bool:
        """Remove the tickets of processes that died; returns whether there were any. No clocks are compared."""
        removed = False
        for key, ticket in tickets.items():
            owner, text = ticket.owner, str(ticket)
            if self._seen.get(key, ("", 0.0))[0] != text:
                self._seen[key] = (text, self._timing.now())
            here = (owner.host, owner.store) == (self._mine.owner.host, self._mine.owner.store)  # whose lock this process has
            if here or self._timing.now() - self._seen[key][1] >= STALE:
                self._client.delete_registered_model_tag(self._name, key)
                removed = True
        return removed

    def _read(self) -> RegisteredModel:
        return self._client.get_registered_model(self._name)

    def _write(self, ticket: Ticket) -> None:
        self._client.set_registered_model_tag(self._name, self._key, json.dumps(asdict(ticket)))
        self._mine, self._renewed = ticket, self._timing.now()


@contextmanager
def _renewed(turn: Turn) -> Iterator[None]:
    """Give signs of life in the background: a promotion may train for hours."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(1.0):
            turn.renew()

    thread = threading.Thread(target=beat, name="tailor-turn", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _parse(tags: Mapping[str, str]) -> dict[str, Ticket]:
    return {key: Ticket.parse(text) for key, text in tags.items() if key.startswith(TAG)}
