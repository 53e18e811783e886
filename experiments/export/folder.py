"""The folder of an export: written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from ..system.file_lock import try_lock
from ..system.words import list_names

ABOUT = "export.json"
DRAFT = ".draft-"  # and what `mkdtemp` adds: a folder that an export writes to
FILES = "files"  # the folder of a draft that holds them
LOCK = "lock"  # the file of a draft that its export holds
MOST_NAMED = 5  # files that a message names


def require_room(folder: Path, force: bool, names: Sequence[str]) -> None:
    """Raise InputError if the folder is a file, cannot be read, or holds something that is not to be replaced.

    `names` are the files and folders that an export is about to write. With `force` they replace those of an earlier export.
    """
    try:
        if any(not _is_draft(path) for path in folder.iterdir()) and not force:
            raise InputError(f"-o: {folder} is not empty; name a new folder, or replace the export in it with --force.")
        _refuse_foreign(folder, names)
    except FileNotFoundError:
        if folder.is_symlink():
            raise InputError(f"-o: {folder} is a link to what is not there; remove it, or name a new folder.") from None
    except NotADirectoryError:  # it, or what it would lie in
        file = next(path for path in (folder, *folder.parents) if path.exists())
        raise InputError(f"-o: {file} is a file; name a new folder.") from None
    except OSError as error:
        raise _explain(folder, "read", error) from error


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """A folder to write to. At the end of the block its files move to `folder`; after an error there is nothing new.

    They replace the files of an export that is there; other files stay. Raises InputError, and changes nothing, if one is in the
    way (which `require_room` sees before the work) or if `folder` cannot be written to.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_drafts(folder)
        place = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
        files = place / FILES
        try:
            files.mkdir()
            with try_lock(place / LOCK):
                yield files
                written = list_files(files)
                _refuse_foreign(folder, [path.relative_to(files).as_posix() for path in written])  # it may be there since then
                _remove_earlier(folder)
                for path in sorted(written, key=lambda path: path != files / ABOUT):  # it first: it says whose they are
                    target = folder / path.relative_to(files)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(path, target)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise _explain(folder, "written", error) from error
    finally:
        if new:
            with suppress(OSError):  # it has files, if all went well
                folder.rmdir()


def list_files(folder: Path) -> list[Path]:
    """Every file in the folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sum_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path within the folder."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in list_files(folder)}


def _explain(folder: Path, doing: str, error: OSError) -> InputError:
    ways_out = {errno.ENAMETOOLONG: "give it a shorter name", errno.ENOSPC: "name another folder, or make room"}
    way_out = ways_out.get(error.errno or 0, "name another folder")
    return InputError(f"-o: {folder} cannot be {doing} ({error.strerror}); {way_out}.")


def _list_own(folder: Path) -> set[str]:
    """The files of the export that the folder holds, by their paths within it; none if it holds no export."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return {ABOUT, *about["files"]} if "model_sha256" in about else set()  # other programs write an export.json too
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()


def _refuse_foreign(folder: Path, names: Sequence[str]) -> None:
    """Raise InputError if what stands under these names is not of the folder's export."""
    if foreign := _list_foreign(folder, names):
        named = [*foreign[:MOST_NAMED], *([f"{len(foreign) - MOST_NAMED} more"] if len(foreign) > MOST_NAMED else [])]
        raise InputError(
            f"-o: no export in {folder} lists {list_names(named)} as its own, so --force does not replace that; move it, "
            "or name another folder."
        )


def _list_foreign(folder: Path, names: Sequence[str]) -> list[str]:
    """The files and the folders without files under these names that the folder's export neither lists nor has files in."""
    own = {Path(name) for name in _list_own(folder)}
    own |= {parent for name in own for parent in name.parents}  # a killed export may leave them empty
    places = [folder / name for name in names]
    there = [path for place in places for path in (list_files(place) or [place]) if os.path.lexists(path)]
    return sorted(path.as_posix() for path in {path.relative_to(folder) for path in there} - own)


def _is_draft(path: Path) -> bool:
    named = re.fullmatch(re.escape(DRAFT) + "[a-z0-9_]{8}", path.name) is not None and path.is_dir()
    return named and {one.name for one in path.iterdir()} <= {LOCK, FILES}


def _remove_drafts(folder: Path) -> None:
    """Remove what killed exports left. Raises InputError if an export is writing there now."""
    for path in filter(_is_draft, folder.iterdir()):
        if not (path / LOCK).exists():  # another export begins just now, or was killed at its beginning
            continue
        with try_lock(path / LOCK) as abandoned:
            if not abandoned:
                raise InputError(f"-o: another process exports to {folder} now; wait for it, or name another folder.")
            shutil.rmtree(path)


def _remove_earlier(folder: Path) -> None:
    """Remove the export that the folder holds, with the folders that it leaves empty: a model in two formats would be two."""
    for name in sorted(_list_own(folder), key=lambda name: name == ABOUT):  # last: it says which files are the export's
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()):
            path.unlink(missing_ok=True)
            with suppress(OSError):  # until one that is not empty
                for parent in path.relative_to(folder).parents[:-1]:
                    (folder / parent).rmdir()
