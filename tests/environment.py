"""The environment of all tests, set before anything reads it: to be imported first of all."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # as in a search: over small matrices, threads wait for each other at full speed
for variable in ("TAILOR_STORE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
    os.environ.pop(variable, None)  # nobody's own store takes part in a test

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` must not hand its ignored signal on to what is tested
