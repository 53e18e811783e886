"""Links into MLflow's pages, and the tag that makes them open on the trials, best first, with curves and hyperparameters.

By default MLflow's page shows one collapsed row and empty charts. A shared view (the experiment's tag
`mlflow.sharedViewState.<key>`, opened by `viewStateShareKey=<key>`) presets filter, order, columns and charts. The URL may
hold no facet beside the key: the page would ignore the whole preset.
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode

from ...search.study.goal import EPOCH_METRICS
from ...search.study.spec import StudySpec
from .entries import NEWEST
from .recorded import ORDER, SCORE

HOST, PORT = "127.0.0.1", 5000
VIEW = "tailor"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
MOST_CHARACTERS = 20_000  # of an experiment tag
TABLE_METRICS = ("best_val_accuracy", "best_val_loss", "val_macro_f1", "parameters", "train_seconds", "best_epoch")
CURVES = ("val_accuracy", "val_loss", "train_accuracy", "train_loss")


def make_base_url(tracking_uri: str, port: int = PORT) -> str:
    """Where the pages are: the tracking server itself, or the `tailor ui` that you start."""
    if not tracking_uri.startswith("http"):
        return f"http://{HOST}:{port}"
    scheme, _, place = tracking_uri.rstrip("/").partition("://")
    return f"{scheme}://{place.rpartition('@')[2]}"  # without user and password; the browser asks for them


def make_list_url(base: str) -> str:
    """The page that lists the studies."""
    return f"{base}/#/experiments"


def make_study_url(base: str, experiment_id: str, charts: bool = True) -> str:
    """A study's page: its trials best first with their curves, or (`charts=False`) as a table of hyperparameters."""
    query = {"workflowType": "machine_learning", "viewStateShareKey": VIEW}
    if charts:
        query["compareRunsMode"] = "CHART"
    return f"{base}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def make_view_tags(spec: StudySpec) -> dict[str, str]:
    """The experiment's tags: the preset of its page, and the note above it."""
    state = json.dumps(_state(spec))
    name = f"Trials, best {spec.objective.metric} first" if spec.goal.several else "Trials, best first"
    view = json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": state})
    aim = " and ".join(f"{one.direction} `{one.metric}`" for one in spec.goal.objectives)
    note = f"Tailor study **{spec.name}**: model `{spec.model}` on `{spec.dataset}`, {aim}."
    return {"mlflow.note.content": note} | ({VIEW_TAG: view} if len(view) <= MOST_CHARACTERS else {})


def _state(spec: StudySpec) -> dict[str, Any]:
    objective = spec.objective
    parameters = [parameter.name for parameter in spec.space.parameters]
    # MLflow draws only the trials that have every parameter of the plot.
    always = [parameter.name for parameter in spec.space.searched if not parameter.when]
    metrics = dict.fromkeys([SCORE, *(o.key for o in spec.goal.objectives), *TABLE_METRICS])
    first, *others = [f"metrics.`{metric}`" for metric in metrics]
    columns = [first, "tags.`tailor.status`", *(f"params.`{name}`" for name in parameters), *others]
    curves = dict.fromkeys([*([objective.metric] if objective.metric in EPOCH_METRICS else []), *CURVES])
    return {
        "searchFilter": f"tags.`tailor.kind` = 'trial' AND tags.`{NEWEST}` = 'yes'",
        "orderByKey": f"tags.`{ORDER}`",  # the page sorts by one thing; by a metric, pruned trials would stand among the others
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, 110),
        "runsHiddenMode": "SHOW_ALL",  # by default the page draws the first ten
        "groupBy": None,
        "groupsExpanded": {},
        "compareRunSections": [
            _section("Curves", columns=2, cardHeight=300),
            _section("Hyperparameters", columns=1, cardHeight=320),
            _section("Model metrics", columns=3, cardHeight=300, display=False),  # where metrics without a chart go
        ],
        "compareRunCharts": [*map(_curve, curves), *_comparisons(always, objective.key)],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "viewMaximized": False,
        "runListHidden": False,
        "chartsSearchFilter": "",
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _comparisons(parameters: list[str], metric: str) -> list[dict[str, Any]]:
    table = {
        "chartName": "Hyperparameters by trial",
        "compareGroups": ["Parameters", "Model metrics"],
        "showChangeFromBaseline": False,
        "showDifferencesOnly": False,
        "baselineColumnUuid": "",
    }
    lines = {"displayName": "Hyperparameters", "selectedParams": parameters, "selectedMetrics": [metric], "showAllRuns": False}
    cards = [_card("DIFFERENCE", "", "Hyperparameters", **table)]
    return [_card("PARALLEL", "", "Hyperparameters", **lines), *cards] if parameters else cards


def _curve(metric: str) -> dict[str, Any]:
    return _card(
        "LINE",
        metric,
        "Curves",
        metricKey=metric,
        displayName=metric,
        xAxisKey="step",
        selectedXAxisMetricKey="",
        xAxisScaleType="linear",
        scaleType="linear",
        lineSmoothness=0,
        yAxisKey="metric",
        yAxisExpressions=[],
        range={},
        ignoreOutliers=False,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _section(label: str, display: bool = True, **layout: Any) -> dict[str, Any]:
    fixed = {"isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": _uid(f"section {label}"), "name": label, "display": display, **fixed, **layout}


def _card(kind: str, label: str, section: str, **settings: Any) -> dict[str, Any]:
    place = {"uuid": _uid(f"card {kind} {label}"), "type": kind, "metricSectionId": _uid(f"section {section}")}
    return {**place, "runsCountToCompare": 10, "deleted": False, "isGenerated": False, **settings}


def _uid(label: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tailor/{label}"))
