"""Where everything is kept: one folder, with MLflow's database and artifacts, Optuna's studies and the caches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import InputError

MODE = 0o700


@dataclass(frozen=True)
class Store:
    """The paths and addresses under one root. Nothing is created until `create`."""

    root: Path
    tracking_uri: str

    @classmethod
    def at(cls, folder: str | None, environ: Mapping[str, str] = os.environ) -> Store:
        """The store that `--store`, `TAILOR_STORE` or ./mlruns names; MLFLOW_TRACKING_URI wins for MLflow when set."""
        root = Path(folder or environ.get("TAILOR_STORE") or "mlruns").expanduser().resolve()
        if root.exists() and not root.is_dir():
            raise InputError(f"--store: expected a folder, got the file {root}.")
        return cls(root, environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}")

    @property
    def local(self) -> bool:
        """Whether MLflow's data is this folder's own, rather than a server's."""
        return self.tracking_uri == f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def exists(self) -> bool:
        """Whether any study can have been recorded here."""
        return not self.local or (self.root / "mlflow.db").exists()

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def optuna_url(self) -> str:
        """Optuna's storage, as other tools take it."""
        return f"sqlite:///{self.root / 'studies.db'}"

    @property
    def studies_url(self) -> str:
        """Optuna's storage for a writer, which waits up to a minute for another's lock (SQLite's `timeout`)."""
        return f"{self.optuna_url}?timeout=60"

    @property
    def oracles(self) -> Path:
        """Keras Tuner's state, a folder a study."""
        return self.root / "keras_tuner"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def create(self) -> None:
        """Make the folder, for its owner alone. Raises InputError where it cannot be made."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=MODE)
            self.artifacts.mkdir(exist_ok=True, mode=MODE)
        except OSError as error:
            raise InputError(
                f"--store: {self.root} cannot be made ({error.strerror}); name a folder that you may write to."
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise InputError(f"--store: {self.root} may not be written to; name another folder with --store or TAILOR_STORE.")
        (self.root / "studies.db").touch(mode=0o600)  # before SQLite makes it readable to everyone

    def adopt_database(self, draft: Path) -> None:
        """Put a new MLflow database in its place, whole or not at all; another process may have been first."""
        beside = self.root / f".mlflow-{os.getpid()}.db"
        shutil.copyfile(draft, beside)
        beside.chmod(0o600)
        try:
            os.link(beside, self.root / "mlflow.db")
        except FileExistsError:
            pass
        finally:
            beside.unlink()
