"""The folder of an export: what a killed one leaves, what --force replaces, and folders that cannot be."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from shutil import copytree

import pytest

from tailor.experiments.errors import InputError
from tailor.experiments.export.folder import draft, require_room


def test_what_a_killed_export_leaves_is_no_content_and_goes_away(tmp_path: Path) -> None:
    with draft(tmp_path / "killed") as place:
        (place / "model.onnx").write_bytes(b"half")
        copytree(place.parent, tmp_path / "got" / place.parent.name)
    mine, alike = tmp_path / "got" / ".draft-letters-to-friends", tmp_path / "got" / ".draft-chapters"
    left = tmp_path / "got" / place.parent.name
    require_room(tmp_path / "got", False, ["model.onnx"])
    mine.mkdir()
    alike.mkdir()
    (alike / "book.txt").write_text("mine too")
    with pytest.raises(InputError, match="is not empty"):
        require_room(tmp_path / "got", False, ["model.onnx"])
    with draft(tmp_path / "got") as place:
        assert not left.exists()
        (place / "model.onnx").write_bytes(b"whole")
        with pytest.raises(InputError, match=r"another process exports to \S+ now; wait for it"), draft(tmp_path / "got"):
            pass
    assert {path.name for path in (tmp_path / "got").iterdir()} == {"model.onnx", mine.name, alike.name}


class Killed(BaseException):
    """In place of a signal that nothing handles."""


def test_an_export_that_was_killed_while_it_moved_its_files_is_replaced_by_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Dockerfile", "card.md", "export.json", "model.onnx"]

    def write() -> None:
        with draft(tmp_path / "got") as place:
            for name in names:
                (place / name).write_text(json.dumps({"model_sha256": "", "files": dict.fromkeys(names, "")}))

    def die(*arguments: object) -> None:
        if len(moved) == 2:
            raise Killed
        moved.append(move(*arguments))  # type: ignore[arg-type]

    move, moved = os.replace, list[None]()
    for earlier in (False, True):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            moved.clear()
            patched.setattr(os, "replace", die)
            write()
        with pytest.raises(InputError, match="is not empty"):
            require_room(tmp_path / "got", False, names)
        require_room(tmp_path / "got", True, names)
        assert earlier or {path.name for path in (tmp_path / "got").iterdir()} == {"export.json", "Dockerfile"}
        write()
    assert {path.name for path in (tmp_path / "got").iterdir()} == set(names)


@pytest.mark.parametrize("mine", ["requirements.txt", "requirements.txt/empty"])
def test_a_folder_in_a_files_place_is_not_replaced_by_force(tmp_path: Path, mine: str) -> None:
    def write(*names: str) -> None:
        with draft(tmp_path) as place:
            for name in names:
                (place / name).write_text(json.dumps({"model_sha256": "", "files": dict.fromkeys(names, "")}))

    write("export.json", "model.onnx")
    (tmp_path / mine).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    says = r"lists requirements\.txt as its own, so --force does not replace that; move it, or name another folder\.$"
    with pytest.raises(InputError, match=says):
        require_room(tmp_path, True, ["export.json", "requirements.txt"])
    with pytest.raises(InputError, match=says):  # it was made while the model was converted
        write("export.json", "requirements.txt")
    assert sorted(tmp_path.rglob("*")) == before


def test_folders_that_a_killed_export_left_empty_are_replaced_by_force(tmp_path: Path) -> None:
    (tmp_path / "saved_model" / "variables").mkdir(parents=True)
    (tmp_path / "export.json").write_text(json.dumps({"model_sha256": "", "files": {"saved_model/variables/index": ""}}))
    require_room(tmp_path, True, ["export.json", "saved_model"])
    with draft(tmp_path) as place:
        (place / "model.onnx").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx"}


def test_a_folder_that_cannot_be_is_one_line_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nothing")
    require_room(tmp_path / "new", False, [])
    for name, says in (
        ("file", r"-o: \S+/file is a file; name a new folder\.$"),
        ("file/within", r"-o: \S+/file is a file; name a new folder\.$"),
        ("n" * 300, r"-o: \S+n cannot be read \(File name too long\); give it a shorter name\.$"),
        ("dangling", r"-o: \S+/dangling is a link to what is not there; remove it, or name a new folder\.$"),
    ):
        with pytest.raises(InputError, match=says):
            require_room(tmp_path / name, True, [])

    def refuse(path: Path) -> None:  # root may read all
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); name another folder\.$"):
        require_room(tmp_path / "new", False, [])
