"""What several files of the server hold to: which images are small, and where its processes count together."""

from __future__ import annotations

FEW_PIXELS = 96  # of a side: such images are small
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # Prometheus's variable: the folder in which several processes count together
