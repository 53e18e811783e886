"""The processes that TensorFlow runs in: what they are set to before it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tailor.experiments.trials.evaluator import Evaluator


def uses_onednn() -> tuple[str | None, bool]:
    import os

    from tensorflow.python.util import _pywrap_util_port

    return os.environ.get("TF_ENABLE_ONEDNN_OPTS"), bool(_pywrap_util_port.IsMklEnabled())


def test_convolutions_are_onednns_on_every_cpu() -> None:
    with Evaluator(threads=1) as process:
        assert process.call(uses_onednn) == ("1", True)


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
