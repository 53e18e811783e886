"""What a report is drawn with, imported and nothing else: see session.py."""

from __future__ import annotations

import experiments.reports.report
import search.plots

search.plots.warm()

__all__ = ["experiments", "search"]
