"""Fault 13: twenty promotions of one study at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from conftest import TAILOR, Shell
from faults import study, times, to_the_end
from ledger import Ledger, whole_table
from searches import client

HERE = Path(__file__).resolve().parent


def test_13_a_promotion_killed_half_way_is_finished_by_the_next(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=1)
    to_the_end(tailor)
    driver = [
        sys.executable,
        str(HERE / "driver.py"),
        "call",
        "mlflow:MlflowClient.set_registered_model_alias",
        "before",
        "1",
        "--",
    ]
    killed = subprocess.run(
        [*driver, "promote", "small", "--to", "half", "--quick"], cwd=tailor.folder, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    mlflow = client(tailor.folder)
    assert mlflow.search_model_versions("name = 'half'") and not mlflow.get_registered_model("half").aliases
    again = tailor("promote", "small", "--to", "half", "--quick")
    wrong = [] if again.returncode == 0 else [again.stdout + again.stderr]
    wrong += (
        [] if {k: str(v) for k, v in mlflow.get_registered_model("half").aliases.items()} == {"champion": "1"} else ["no alias"]
    )
    wrong += [] if mlflow.get_registered_model("half").tags["tailor.test_openings"] == "1" else ["opened the test set twice"]
    ledger.check("13 a promotion killed before its alias", wrong)


@whole_table
def test_13_promotions_at_once(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=2)
    to_the_end(tailor)
    count = times(20, 6)
    command = [str(TAILOR), "promote", "small", "--to", "busy", "--quick"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    promotions = [subprocess.Popen(command, cwd=tailor.folder, **pipes) for _ in range(count)]
    said = [promotion.communicate(timeout=280)[0] for promotion in promotions]
    mlflow = client(tailor.folder)
    versions = mlflow.search_model_versions("name = 'busy'")
    model = mlflow.get_registered_model("busy")
    wrong = [text for text, promotion in zip(said, promotions, strict=True) if promotion.returncode]
    wrong += [] if len(versions) == 1 else [f"{len(versions)} versions of one model"]
    wrong += [] if mlflow.get_model_version_by_alias("busy", "champion").version == versions[0].version else ["the alias dangles"]
    wrong += [] if model.tags["tailor.test_openings"] == "1" else [f"{model.tags['tailor.test_openings']} openings are noted"]
    wrong += [] if sum("On test: accuracy" in text for text in said) == 1 else ["the test set was opened more than once"]
    for _ in range(count):
        ledger.add("13 promotions at once", held=not wrong)
    assert not wrong, wrong
