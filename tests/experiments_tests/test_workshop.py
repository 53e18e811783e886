"""The processes that TensorFlow runs in: what they are set to before it is imported."""

from __future__ import annotations

from tailor.experiments.trials.evaluator import Evaluator


def uses_onednn() -> tuple[str | None, bool]:
    import os

    from tensorflow.python.util import _pywrap_util_port

    return os.environ.get("TF_ENABLE_ONEDNN_OPTS"), bool(_pywrap_util_port.IsMklEnabled())


def test_convolutions_are_onednns_on_every_cpu() -> None:
    with Evaluator(threads=1) as process:
        assert process.call(uses_onednn) == ("1", True)
