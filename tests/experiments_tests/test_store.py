"""The store's folder: a new database is put into it whole, and once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tailor.experiments.store import Store


def test_what_was_exported_of_one_store_is_not_taken_for_another(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in ("one", "other"))
    exported = {"TAILOR_STORE": str(one), "MLFLOW_TRACKING_URI": f"sqlite:///{one / 'mlflow.db'}"}
    assert Store.at(None, exported).local
    assert Store.at(str(other), exported).tracking_uri == f"sqlite:///{other / 'mlflow.db'}"
    server = {**exported, "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}
    assert Store.at(str(other), server).tracking_uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize("links", [True, False])
def test_the_first_database_stays_with_and_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", link)
    store = Store.at(str(tmp_path / "mlruns"), {})
    with store.reserved():
        for content in ("first", "second"):
            (tmp_path / "draft").write_text(content)
            store.adopt_database(tmp_path / "draft")
    assert (store.root / "mlflow.db").read_text() == "first"
    assert list(store.root.glob(".mlflow-*")) == []
