"""The model that a server answers with, which follows its alias in the registry."""

from __future__ import annotations

import sys
import threading
import time

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..registry.versions import find_version
from ..system.redact import mask_passwords
from .model import ServedModel
from .registered import load_served_model

SECONDS = 3  # between two looks at the registry
PAUSE = 60  # until a version that did not load is tried again
MOST_CHARACTERS = 500  # of a trouble


class Live:
    """`model` is replaced as a whole: a request reads it once, and one version answers all of it.

    `trouble` says why the version that the reference names now does not answer; empty if it does.
    """

    def __init__(self, client: MlflowClient, reference: str) -> None:
        self._client, self._reference = client, reference
        version = find_version(client, reference)
        self.model: ServedModel = load_served_model(client, version)
        self.trouble = ""
        self._loaded = _identify(version)
        self._refused, self._again = "", 0.0  # a version that did not load, and when it is tried again: each try downloads it

    def refresh(self) -> None:
        """Load the version that the reference names now, if it is another one; the present one stays if that fails."""
        try:
            version = find_version(self._client, self._reference)
            identity = _identify(version)
            if identity == self._refused and time.monotonic() < self._again:
                return
            if identity != self._loaded:
                self._refused, self._again = identity, time.monotonic() + PAUSE
                self.model, self._loaded = load_served_model(self._client, version), identity
                _say(f"version {version.version} answers now")
            trouble, self._refused = "", ""
        except Exception as error:  # the registry, its files and a model's own code may raise anything
            trouble = mask_passwords(str(error) or type(error).__name__)[:MOST_CHARACTERS]
        if trouble and trouble != self.trouble:
            _say(f"version {self.model.version} still answers: {trouble}")
        self.trouble = trouble

    def follow(self) -> None:
        """Refresh it every few seconds, in a thread, as long as this process lives."""
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            time.sleep(SECONDS)
            self.refresh()


def _identify(version: ModelVersion) -> str:
    """The number alone does not tell versions apart: it comes again if the name, or its latest version, is deleted and reused."""
    return f"{version.version} {version.creation_timestamp} {version.source}"


def _say(text: str) -> None:
    print(f"tailor: {text}", file=sys.stderr, flush=True)
