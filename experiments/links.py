"""Links into MLflow's pages, and the tags that make them open on trials best first with their curves."""

from __future__ import annotations

from urllib.parse import quote

from search.spec import StudySpec

HOST = "http://127.0.0.1:5000"


def study_url(experiment_id: str, metric: str, maximize: bool, base: str = HOST) -> str:
    """The page of a study: its trials flat, best first, with their curves."""
    order = quote(f"metrics.`{metric}`", safe=".")
    return (
        f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&orderByKey={order}"
        f"&orderByAsc={'false' if maximize else 'true'}&compareRunsMode=CHART"
    )


def view_tags(spec: StudySpec) -> dict[str, str]:
    """The experiment's tags that preset the page."""
    return {"mlflow.note.content": f"Tailor study **{spec.name}**: `{spec.model}` on `{spec.dataset}`."}
