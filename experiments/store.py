"""The store: one folder with MLflow's database and artifacts, Optuna's studies and the caches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from .errors import InputError, escape_path
from .system.file_lock import hold_lock

MODE = 0o700
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")  # of MLflow's own stores, also with a driver: mysql+pymysql
SHOWN = 60  # letters of a path that is no path
KNOWN_TO_ALL = "password1234"


@dataclass(frozen=True)
class Store:
    """The paths and addresses under one root folder. Only `reserved`, `create` and `adopt_database` write."""

    root: Path
    tracking_uri: str
    studies: str = ""  # Optuna's storage, if it is not in this folder

    @classmethod
    def at(cls, folder: str | None, environ: Mapping[str, str] = os.environ, studies: str | None = None) -> Store:
        """The store that `--store` or TAILOR_STORE names, ./mlruns by default, with Optuna's database that `--studies` names.

        MLFLOW_TRACKING_URI, if set, names MLflow, and TAILOR_STUDIES, a SQLAlchemy URL, Optuna's database. If `--store` names
        another store than the one that `tailor env` exported, the exported MLFLOW_TRACKING_URI does not count.
        """
        root = _resolve("--store", os.path.expanduser(folder or environ.get("TAILOR_STORE") or "mlruns"))
        if root.exists() and not root.is_dir():
            raise InputError(f"--store: expected a folder, got the file {root}.")
        if escape_path(root) != str(root):  # MLflow could not record it
            raise InputError(f"--store: {escape_path(root)!r} is not UTF-8; name another folder.")
        own, named = _database(root), environ.get("MLFLOW_TRACKING_URI")
        before = environ.get("TAILOR_STORE")
        exported = folder is not None and bool(before) and named == _database(Path(str(before)))
        tracking = own if exported or not named else _named_address(named)
        if tracking != own and _find_file(tracking) == (root / "mlflow.db").resolve():
            tracking = own  # this folder's own file, by another address
        if KNOWN_TO_ALL in (environ.get("MLFLOW_TRACKING_PASSWORD"), urlsplit(tracking).password):
            raise InputError(
                "MLFLOW_TRACKING_PASSWORD: expected a secret, got the public default of older MLflow servers; "
                "change it on the server, then here."
            )
        studies = environ.get("TAILOR_STUDIES", "") if studies is None else studies
        if studies == tracking:
            raise InputError("--studies: got MLflow's database, which Optuna cannot share; name another database for Optuna.")
        return cls(root, tracking, studies)

    @property
    def local(self) -> bool:
        """Whether MLflow's data lies in this folder, not on a server."""
        return self.tracking_uri == _database(self.root)

    @property
    def served(self) -> bool:
        """Whether MLflow is a server, which keeps the artifacts too."""
        return self.tracking_uri.startswith(("http://", "https://"))

    @property
    def database(self) -> Path | None:
        """The SQLite file of MLflow's data: this folder's own, or one that MLFLOW_TRACKING_URI names. None on a server."""
        return self.root / "mlflow.db" if self.local else _find_file(self.tracking_uri)

    @property
    def exists(self) -> bool:
        """Whether a study can be recorded here already; MLflow would create a SQLite file that is only asked for a study."""
        return self.database is None or self.database.exists()

    @property
    def place(self) -> Path:
        """Where a message says that studies are, if they are in files: this folder, or MLflow's file elsewhere."""
        return self.root if self.local else self.database or self.root

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def optuna_url(self) -> str:
        """Optuna's storage, for other tools."""
        return self.studies or sqlite_address(self.root / "studies.db")

    @property
    def studies_url(self) -> str:
        """Optuna's storage for a writer, which waits 30 s for a lock (SQLite's `timeout`)."""
        return self.studies or f"{self.optuna_url}?timeout=30"

    @property
    def known_studies_url(self) -> str | None:
        """Optuna's storage, or None if the store has none yet."""
        path = self.root / "studies.db"
        return self.studies_url if self.studies or (path.exists() and path.stat().st_size) else None

    @property
    def oracles(self) -> Path:
        """Keras Tuner's state, one folder a study."""
        return self.root / "keras_tuner"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def spool(self) -> Path:
        """What MLflow lacks while it is away, one folder a study."""
        return self.root / "spool"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    def lock_of_promotions(self, study: str) -> Path:
        """The file that a study's promotions lock, and what deletes or renames the study."""
        return self.locks / f"{study}+promotion.lock"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Make the folder, for its owner alone, and remove it again if it stays empty. Raises InputError."""
        made = [folder for folder in (self.locks, self.root) if not folder.exists()]
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=MODE)
            self.locks.mkdir(exist_ok=True, mode=MODE)
        except OSError as error:
            raise InputError(
                f"--store: {self.root} cannot be created ({error.strerror}); name a folder that you may write to."
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise InputError(f"--store: you may not write to {self.root}; name another folder with --store or TAILOR_STORE.")
        try:
            yield
        finally:
            for folder in made:
                with suppress(OSError):  # not empty
                    folder.rmdir()

    def create(self) -> None:
        """Create, for the owner alone, the folders and files that MLflow and Optuna would make readable to everyone."""
        for folder in (self.artifacts, self.cache, self.checkpoints, self.oracles, self.spool):
            folder.mkdir(exist_ok=True, mode=MODE)
        (self.root / "studies.db").touch(mode=0o600)

    def adopt_database(self, draft: Path, place: Path) -> None:
        """Put a new MLflow database in its place, whole or not at all, unless another process was first. Raises InputError."""
        beside = place.with_name(f".mlflow-{os.getpid()}.db")
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=MODE)
            shutil.copyfile(draft, beside)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:  # not a full disk
            raise InputError(
                f"MLFLOW_TRACKING_URI: {place} cannot be created ({error.strerror}); name a file that you may write to."
            ) from error
        beside.chmod(0o600)
        try:
            os.link(beside, place)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            with hold_lock(self.locks / ".mlflow"):
                if not place.exists():
                    os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)


def _resolve(field: str, path: str) -> Path:
    """The absolute path of one that is typed. Raises InputError if the system takes none such."""
    try:
        found = Path(path).resolve()
        found.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, links in a circle, a NUL
        shown = path if len(path) <= SHOWN else f"{path[:SHOWN]}…"
        raise InputError(f"{field}: {shown!r} is no path ({getattr(error, 'strerror', None) or error}); name another.") from error
    return found


def _named_address(named: str) -> str:
    """MLFLOW_TRACKING_URI as it is. Raises InputError for a path or a folder, which MLflow no longer takes, or another scheme."""
    scheme, colon, _ = named.strip().partition("://")
    if named.strip().startswith("databricks") or (colon and scheme.partition("+")[0].lower() in SCHEMES):
        return named
    if colon and any(one.name == scheme for one in entry_points(group="mlflow.tracking_store")):
        return named  # a plugin's
    raise InputError(
        f"MLFLOW_TRACKING_URI: expected an address, such as http://HOST:PORT or sqlite:////PATH/mlflow.db, got {named!r}; "
        "unset it, and name a folder with --store."
    )


def _find_file(address: str) -> Path | None:
    """The file that a SQLite address names; None for a server, a database in memory, or SQLite's own kind of address."""
    if not address.lower().startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.host:  # two slashes: the first part of the path would be a machine
        raise InputError(
            f"MLFLOW_TRACKING_URI: expected sqlite:///FOLDER/mlflow.db or sqlite:////PATH/mlflow.db, got {address!r}."
        )
    named = url.database
    return None if not named or named == ":memory:" or named.startswith("file:") else _resolve("MLFLOW_TRACKING_URI", named)


def sqlite_address(path: Path) -> str:
    """A SQLite file's address for SQLAlchemy, MLflow and Optuna, with `%`, `?` and `#` escaped, as URLs need.

    An escaped address names its driver; otherwise MLflow makes an empty folder with the escaped name.
    """
    if not set("%?#") & set(str(path)):
        return f"sqlite:///{path}"  # most paths need no change
    from sqlalchemy.engine import URL

    return URL.create("sqlite+pysqlite", database=str(path)).render_as_string()


def _database(root: Path) -> str:
    """The address of a folder's own MLflow database."""
    return sqlite_address(root / "mlflow.db")
