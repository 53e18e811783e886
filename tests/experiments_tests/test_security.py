"""Hostile files and names: nothing of them runs, is written outside its place, or takes the machine's memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import Shell
from files import as_registered

from tailor.experiments.errors import InputError
from tailor.experiments.system.redact import mask_passwords

Write = Callable[..., Path]


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a hostile file would make, were it run."""
    return tmp_path / "was-run"


def test_a_pickle_in_an_npz_is_not_opened(tmp_path: Path, mark: Path) -> None:
    from tailor.experiments.datasets.catalog import open_dataset

    hostile = np.empty(1, object)
    hostile[0] = Bomb(mark)
    np.savez(tmp_path / "data.npz", x_train=hostile, y_train=np.zeros(1, "int64"), allow_pickle=True)
    with pytest.raises(InputError):
        open_dataset(f"npz:{tmp_path / 'data.npz'}", None)
    assert not mark.exists()


def test_a_pickle_in_a_checkpoint_is_not_opened(mark: Path) -> None:
    import keras

    from tailor.models.training.checkpoint import unpack
    from tailor.models.training.options import TrainOptions
    from tailor.models.training.program_cache import get_program

    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    file = io.BytesIO()
    hostile = np.empty(1, object)
    hostile[0] = Bomb(mark)
    np.savez(file, header=hostile, allow_pickle=True)
    assert unpack(file.getvalue(), get_program(net, TrainOptions(), 2), "any") is None
    assert not mark.exists()


def keras_file(path: Path, config: dict, **members: bytes) -> Path:
    """A .keras file of that config, with further members of the archive."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}))
        archive.writestr("config.json", json.dumps(config))
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def called(module: str, name: str, argument: str) -> dict:
    """A layer's config that would call a function of any module."""
    return {"module": module, "class_name": name, "config": {"name": argument}, "registered_name": name}


def test_a_model_file_that_names_a_function_to_call_is_refused(tmp_path: Path, mark: Path) -> None:
    from tailor.experiments.trials.saved_model import load_model

    for module, name in (("os", "mkdir"), ("builtins", "exec"), ("keras.src.utils.python_utils", "func_load")):
        path = keras_file(tmp_path / "model.keras", called(module, name, str(mark)))
        with pytest.raises(InputError, match="safe mode"):
            load_model(as_registered(path))
        assert not mark.exists()


def test_a_model_file_whose_archive_climbs_out_writes_nothing_outside(tmp_path: Path) -> None:
    import keras

    from tailor.experiments.trials.saved_model import load_model

    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "inner" / "model.keras"
    path.parent.mkdir()
    net.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../climbed.txt", b"x")
        archive.writestr("assets/../../climbed.txt", b"x")
    with suppress(InputError):
        load_model(as_registered(path))
    assert not list(tmp_path.rglob("climbed.txt"))


def test_a_model_file_that_claims_a_huge_shape_is_refused(tmp_path: Path) -> None:
    import keras

    from tailor.experiments.trials.saved_model import load_model

    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")]).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = members["config.json"].replace(b'"units": 2', b'"units": 200000000000')
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError):
        load_model(as_registered(path))


def test_an_image_that_unpacks_to_gigabytes_is_refused(recorded: Shell, tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = 60_000  # 3.6 gigapixels
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")
    )
    done = recorded("predict", "digits", str(bomb))
    assert done.returncode == 2
    assert "bomb.png" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc/x", "x" * 251, "..", "a\tb"])
def test_names_that_would_leave_their_folder_are_refused(tailor: Shell, write_study: Write, name: str) -> None:
    write_study()
    for arguments in (("search", "small.toml", "--name", name), ("promote", "small", "--to", name)):
        done = tailor(*arguments)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert sorted(path.name for path in tailor.folder.iterdir()) == ["small.toml"]


def test_a_name_with_nul_in_a_study_file_is_refused(tailor: Shell, write_study: Write) -> None:
    write_study(('name = "small"', 'name = "a\\u0000b"'))
    done = tailor("search", "small.toml")
    assert done.returncode == 2 and "study.name" in done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://me:s3cr3t@host/db now", "at postgresql://me:***@host/db now"),
        ("http://me:s3/cr@et@host:5000/x", "http://me:***@host:5000/x"),
        ("postgresql://host/db?user=me&password=s3cr3t&sslmode=on", "postgresql://host/db?user=me&password=***&sslmode=on"),
        ("postgresql://host/db?sslpassword=s3cr3t", "postgresql://host/db?sslpassword=***"),
        ("http://127.0.0.1:5000/#/models/x@champion", "http://127.0.0.1:5000/#/models/x@champion"),
    ],
)
def test_no_form_of_password_is_shown(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown


def test_databases_and_folders_are_their_owners_alone(recorded: Shell) -> None:
    store = recorded.folder / "mlruns"
    for folder in (store, *(path for path in store.iterdir() if path.is_dir())):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for name in ("mlflow.db", "studies.db"):
        assert stat.S_IMODE((store / name).stat().st_mode) == 0o600


def test_the_password_that_everyone_knows_is_refused(tailor: Shell) -> None:
    for environment in (
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_TRACKING_PASSWORD": "password1234"},
        {"MLFLOW_TRACKING_URI": "http://admin:password1234@127.0.0.1:9"},
    ):
        done = tailor("studies", **environment)
        assert done.returncode == 2 and "the public default" in done.stderr, done.stderr


def test_the_pages_answer_on_this_machine_alone_and_to_its_own_name(recorded: Shell) -> None:
    from faults import free_port

    from tailor.experiments.store import Store
    from tailor.experiments.tracking.server import mlflow_server

    port = free_port()
    with mlflow_server(Store.at(str(recorded.folder / "mlruns"), {}), port):
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200
        foreign = urllib.request.Request(address, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(foreign, timeout=10)
        assert refused.value.code == 403
        listening = Path("/proc/net/tcp").read_text()
        assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening


def test_a_pulled_model_file_of_another_content_is_never_opened(recorded: Shell, mark: Path) -> None:
    """A pickle in the model's place, say: its checksum is looked at first."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{recorded.folder / 'mlruns' / 'mlflow.db'}")
    version = client.get_model_version_by_alias("digits", "champion")
    place = (
        recorded.folder / "mlruns/artifacts/small/models" / version.source.removeprefix("models:/") / "artifacts/data/model.keras"
    )
    kept = place.read_bytes()
    try:
        place.write_bytes(pickle.dumps(Bomb(mark)))
        done = recorded("pull", "digits", "-o", str(mark.parent / "out"))
        again = recorded("predict", "digits", str(Path(__file__).resolve().parents[2] / "docs/pictures/digit.png"))
        promoted = recorded("promote", "small", "--to", "tampered", "--quick")
    finally:
        place.write_bytes(kept)
    assert promoted.returncode == 2 and "not the registered" in promoted.stderr
    assert not client.search_model_versions("name = 'tampered'")
    assert not client.search_registered_models("name = 'tampered'")
    assert again.returncode == 2 and "not the registered" in again.stderr
    assert done.returncode == 2 and "not the registered" in done.stderr
    assert not mark.exists() and not (mark.parent / "out").exists()
