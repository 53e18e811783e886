"""The processes that TensorFlow runs in: what they are set to before it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tailor.experiments.system.forkserver import METHOD, begin_loading
from tailor.experiments.trials.evaluator import Evaluator


def uses_onednn() -> bool:
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


@pytest.mark.parametrize("method", [METHOD, "spawn"])
def test_convolutions_are_onednns_on_every_cpu(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if method == METHOD:
        begin_loading()
    with Evaluator(threads=1, method=method) as process:
        assert process.call(uses_onednn)


PREDICTING = """
import os, time
from tailor.experiments.trials.evaluator import Evaluator
if __name__ == "__main__":
    with Evaluator(threads=1) as process:
        print(process.call(os.getpid), flush=True)
        time.sleep(600)
"""


def test_a_process_that_loads_models_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "predicting.py").write_text(PREDICTING)
    command = [sys.executable, "predicting.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as predicting:
        assert predicting.stdout is not None
        child = psutil.Process(int(predicting.stdout.readline()))
        predicting.kill()
    child.wait(timeout=60)
