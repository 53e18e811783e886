"""The processes that TensorFlow runs in: what they are set to before it is imported."""

from __future__ import annotations

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
