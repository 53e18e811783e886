"""Entries kept while MLflow is away: in order, whole or not at all, written once; on a real store that is made to fail."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from postgres import role
from servers import Gate, mlflow_server

from tailor.experiments.errors import RunError
from tailor.experiments.store import Store
from tailor.experiments.tracking.entries import BeginAttempt, DropModel, EndRun, Entry, LogMetrics, LogModel, from_plain, to_plain
from tailor.experiments.tracking.outbox import Outbox
from tailor.experiments.tracking.reader import RecordedStudy, open_client
from tailor.experiments.tracking.spool import Spool
from tailor.experiments.tracking.writer import Writer

DELETED = ViewType.DELETED_ONLY
TAGS = {"tailor.kind": "trial", "tailor.trial": "0", "tailor.attempt": "1"}
BEGIN = BeginAttempt((0, 1), "trial-000", TAGS, {"depth": "2"}, 1000)
MEASURED = (("val_loss", 0.5, 2000, 1), ("val_loss", 0.4, 3000, 2))
METRICS = LogMetrics((0, 1), MEASURED, {"tailor.epochs": "1"})  # one of them replayed
END = EndRun((0, 1), {"tailor.status": "complete"}, "FINISHED", 9000, {"note.txt": b"whole"})


class Place:
    """A study in an MLflow of its own, its outbox, and what was said of it."""

    def __init__(self, folder: Path, address: str = "") -> None:
        store = Store.at(str(folder), {"MLFLOW_TRACKING_URI": address})
        self.client: MlflowClient = open_client(store)
        experiment = self.client.create_experiment("small", None if store.served else (folder / "artifacts").as_uri())
        self.study = RecordedStudy.of(self.client, self.client.create_run(experiment, tags={"tailor.study": "small"}))
        self.database, self.spool, self.said = folder / "mlflow.db", folder / "spool", list[str]()

    def outbox(self) -> Outbox:
        return Outbox(self.study, Spool(self.spool, "small"), self.said.append)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Its tables gone for a while, so that every write fails, as a database does that cannot be used."""
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("ALTER TABLE runs RENAME TO gone")
            database.commit()
        yield
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("ALTER TABLE gone RENAME TO runs")
            database.commit()

    def trial_runs(self) -> list:
        return self.client.search_runs([self.study.experiment_id], "tags.`tailor.trial` = '0'")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "store")


def test_a_new_attempt_takes_the_trials_name_and_the_earlier_one_steps_aside(place: Place) -> None:
    data = {"name": "digits", "digest": "abc", "source_type": "code", "source": "{}", "schema": "{}", "profile": "{}"}
    second = BeginAttempt((0, 2), "trial-000", {**TAGS, "tailor.attempt": "2"}, {"depth": "2"}, 2000, data)
    for entry in (BEGIN, second):
        place.outbox().put(entry)
    found = {run.data.tags["tailor.attempt"]: run for run in place.trial_runs()}
    assert {n: run.info.run_name for n, run in found.items()} == {"1": "trial-000-attempt-1", "2": "trial-000"}
    assert {n: run.data.tags["tailor.newest"] for n, run in found.items()} == {"1": "no", "2": "yes"}
    assert found["1"].info.status == "RUNNING"  # its end is another entry
    (used,) = found["2"].inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", "abc") and not found["1"].inputs.dataset_inputs
    plain = to_plain(second)
    assert from_plain(plain, {}) == second
    del plain["fields"]["data"]  # as an earlier version kept it on the disk
    assert from_plain(plain, {}) == dataclasses.replace(second, data={})


def put_all(outbox: Outbox) -> None:
    for entry in (BEGIN, METRICS, END):
        outbox.put(entry)


def check_written(place: Place) -> None:
    (run,) = place.trial_runs()
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1000, 9000)
    assert run.data.params == {"depth": "2"} and run.data.tags["tailor.status"] == "complete"
    assert run.data.tags["tailor.epochs"] == "1"
    history = place.client.get_metric_history(run.info.run_id, "val_loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [(1, 0.5, 2000), (2, 0.4, 3000)]
    assert [item.path for item in place.client.list_artifacts(run.info.run_id)] == ["note.txt"]


def test_what_mlflow_takes_is_written_at_once(place: Place) -> None:
    put_all(place.outbox())
    check_written(place)
    assert not place.said and not place.spool.exists()


def test_what_it_does_not_take_waits_and_is_written_in_order_once(place: Place) -> None:
    outbox = place.outbox()
    with place.away():
        put_all(outbox)
        assert outbox.waiting == f"entries wait in {place.spool / 'small'} (3)"
    again = place.outbox()  # of another process: the first one was killed
    again.retry(at_once=True)
    check_written(place)
    assert not again.waiting and not place.spool.joinpath("small").exists()
    assert len(place.said) == 2
    assert "MLflow cannot be written to (no such table: runs)" in place.said[0] and "MLflow is back" in place.said[1]


def test_what_mlflow_refuses_is_seen_whatever_it_is_told_elsewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    with pytest.raises(MlflowException, match=r"units\[0\]"):
        place.outbox().put(dataclasses.replace(BEGIN, params={"units[0]": "2"}))
    with pytest.raises(MlflowException, match=r"units\[0\]"):
        place.client.set_tag(place.study.run_id, "units[0]", "2")
    outbox = place.outbox()
    with place.away():
        outbox.put(EndRun(None, {"tailor.ended": "stopped"}, "KILLED", 9000))
        assert outbox.waiting.endswith(" (1)")


def test_every_entry_may_be_written_twice(place: Place) -> None:
    put_all(place.outbox())
    writer = Writer(place.study)
    for entry in (BEGIN, METRICS, END):
        writer.write(entry, again=True)
    check_written(place)


def test_an_entry_cut_off_by_a_kill_is_not_there(place: Place) -> None:
    spool = Spool(place.spool, "small")
    spool.append(BEGIN)
    draft = place.spool / "small" / ".00000002"
    draft.mkdir()
    (draft / "entry.json").write_bytes(b'{"kind": "e')
    spool = Spool(place.spool, "small")
    assert len(spool) == 1 and not draft.exists()
    spool.append(END)
    assert [spool.first(), spool.drop(), spool.first()] == [BEGIN, None, END]


def test_what_mlflow_refuses_for_good_does_not_stand_in_the_way(place: Place) -> None:
    outbox = place.outbox()
    with place.away():
        outbox.put(LogMetrics((7, 1), MEASURED))  # of a run that nobody has
        put_all(outbox)
    outbox.retry(at_once=True)
    check_written(place)
    assert place.said[1].startswith("trial 7: the run of attempt 1 was deleted in MLflow; the search goes on, ")


def test_a_run_that_was_deleted_while_it_trained_ends_no_search(place: Place) -> None:
    outbox = place.outbox()
    outbox.put(BEGIN)
    place.client.delete_run(place.trial_runs()[0].info.run_id)
    for entry in (METRICS, dataclasses.replace(LOGGED, attempt=(0, 1)), END):
        outbox.put(entry)
    after = dataclasses.replace(BEGIN, attempt=(1, 1), tags={**TAGS, "tailor.trial": "1"})
    outbox.put(after)
    assert [line.partition(";")[0] for line in place.said] == ["trial 0: the run of attempt 1 was deleted in MLflow"]
    assert not place.spool.exists() and not outbox.find_models() and not place.trial_runs()
    (other,) = place.client.search_runs([place.study.experiment_id], "tags.`tailor.trial` = '1'")
    place.client.restore_run(place.client.search_runs([place.study.experiment_id], "", DELETED)[0].info.run_id)
    outbox.put(END)  # restored meanwhile: what follows is written
    assert place.trial_runs()[0].info.status == "FINISHED" and other.info.status == "RUNNING"


def test_a_study_that_was_deleted_while_it_ran_ends_its_search_until_it_is_restored(place: Place) -> None:
    outbox, number, run = place.outbox(), place.study.experiment_id, place.study.run_id
    with place.away():
        put_all(outbox)
    place.client.delete_experiment(number)
    way = rf'eval "\$\(tailor env\)", then mlflow experiments restore -x {number}\.$'
    with pytest.raises(RunError, match=rf"^study 'small' was deleted in MLflow while it ran\. .*the same command resumes: {way}"):
        outbox.retry(at_once=True)
    assert outbox.waiting.endswith("(3)")
    place.client.restore_experiment(number)
    outbox.retry(at_once=True)
    check_written(place)
    place.client.delete_experiment(number)
    for entry in (dataclasses.replace(BEGIN, attempt=(1, 1)), METRICS):
        with pytest.raises(RunError, match=way):
            outbox.put(entry)
    place.client.restore_experiment(number)
    place.client.delete_run(run)
    with pytest.raises(RunError, match=rf"the run of study 'small' was deleted .* mlflow runs restore --run-id {run}\.$"):
        outbox.put(EndRun(None, {}, "FINISHED", 9000))


def test_where_nothing_can_be_kept_it_says_so(place: Place) -> None:
    place.spool.write_text("a file where the folder should be")
    with place.away(), pytest.raises(RunError, match=r"neither MLflow nor .*spool"):
        put_all(place.outbox())


def test_a_database_that_refuses_the_login_counts_as_away(tmp_path: Path) -> None:
    with role() as owned:
        place = Place(tmp_path / "store", owned.tracking)
        outbox = place.outbox()
        owned.lock()
        put_all(outbox)
        outbox.retry(at_once=True)
        assert len(place.said) == 1 and "MLflow refuses the credentials (" in place.said[0]
        assert "is not permitted to log in" in place.said[0] and "Restore them on the server" in place.said[0]
        owned.unlock()
        outbox.retry(at_once=True)
        check_written(place)


@pytest.mark.slow
def test_a_server_that_refuses_all_counts_as_away_and_one_that_refuses_one_entry_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mlflow_server(tmp_path) as server, Gate(server.port) as gate:
        place = Place(tmp_path / "store", gate.url)
        gate.refused = "/runs/create"  # and nothing else: the right to write is there
        with pytest.raises(MlflowException, match="403"):
            place.outbox().put(BEGIN)
        gate.refused = "/"
        outbox = place.outbox()
        outbox.put(DropModel(None, 3))
        put_all(outbox)
        assert len(place.said) == 1 and "MLflow refuses the credentials (" in place.said[0]
        gate.refused = "/logged-models"  # of the first entry, for good: it is dropped, and those that follow are written
        outbox.retry(at_once=True)
        check_written(place)
        assert "Tailor drops it" in place.said[1] and "MLflow is back" in place.said[2] and len(place.said) == 3
        assert "View run" not in capsys.readouterr().out  # of MLflow's, at each run that ends


def test_a_password_in_mlflows_address_is_not_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place.study = dataclasses.replace(place.study, client=MlflowClient("http://me:s3cr3t@127.0.0.1:1"))
    place.outbox().put(BEGIN)
    assert "cannot be written to (Connection refused); training" in place.said[0] and "s3cr3t" not in place.said[0]


LOGGED = LogModel((3, 2), {"tailor.trial": "3"}, (8, 8, 1), 10, 4, None, {"model.keras": b"k", "labels.json": b"[]"})


@pytest.mark.parametrize("entry", [BEGIN, METRICS, END, LOGGED, DropModel(None, 3)], ids=lambda entry: type(entry).__name__)
def test_every_entry_comes_back_from_the_disk_as_it_was(tmp_path: Path, entry: Entry) -> None:
    Spool(tmp_path, "small").append(entry)
    assert Spool(tmp_path, "small").first() == entry


def test_entries_that_an_earlier_version_left_are_read() -> None:
    fields = {"metrics": [["val_loss", 0.5, 2000, 1]]}
    assert from_plain({"kind": "metrics", "attempt": [7, 1], "fields": fields}, {}) == LogMetrics((7, 1), MEASURED[:1])
    fields = {"tags": {}, "status": "FINISHED", "time": 1}
    assert from_plain({"kind": "end", "attempt": None, "fields": fields}, {}) == EndRun(None, {}, "FINISHED", 1)
