"""MLflow's pages in a real browser: the trials best first, their curves side by side, hyperparameters as columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from browsers import WITH_BROWSER, keep_picture, open_browser
from conftest import Shell
from faults import free_port
from servers import tailor_ui

selenium = pytest.importorskip("selenium", reason="the browser tests need selenium (pip install -e '.[dev]')")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = WITH_BROWSER
WAIT = 90
# MLflow's assistant opens itself on a first visit and takes a quarter of the page.
CLOSED = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("chromium")) as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOSED})
        yield driver


@pytest.fixture(scope="module")
def pages(recorded: Shell) -> Iterator[list[str]]:
    """The addresses that `tailor ui small` prints, while it serves."""
    with tailor_ui(recorded.folder, free_port(), "small") as (_, found):
        yield found


def ranked(browser: webdriver.Chrome, column: str) -> list[str]:
    """The cells of one column of the runs table, in the order of the rows."""
    cells = browser.find_elements(By.CSS_SELECTOR, f'.ag-cell[col-id="{column}"]')
    script = "return arguments[0].closest('.ag-row').getAttribute('row-index')"
    return [cell.text for cell in sorted(cells, key=lambda cell: int(browser.execute_script(script, cell)))]


def test_the_curves_of_all_trials_stand_side_by_side(browser: webdriver.Chrome, pages: list[str]) -> None:
    browser.get(pages[0])
    for metric in ("val_accuracy", "val_loss"):
        wait = WebDriverWait(browser, WAIT)
        card = wait.until(lambda b, m=metric: b.find_element(By.CSS_SELECTOR, f'h4[title="{m}"]'))
        script = """
            const card = arguments[0].closest('[data-testid="experiment-view-compare-runs-card"]');
            const plot = card.querySelector('.js-plotly-plot');
            return plot && plot.querySelector('.scatterlayer .trace') ? [...new Set(plot.data.map(t => t.name))] : [];
        """
        names = wait.until(lambda b, s=script, c=card: b.execute_script(s, c))
        drawn = {re.match(r"trial-\d+", name)[0] for name in names}  # type: ignore[index]
        assert drawn == {"trial-000", "trial-001", "trial-002", "trial-003"}
    keep_picture(browser, "curves.png")


def test_the_trials_stand_best_first_with_their_hyperparameters(
    browser: webdriver.Chrome, pages: list[str], recorded: Shell
) -> None:
    browser.get("about:blank")  # a change behind the # alone loads nothing
    browser.get(pages[1])
    objective = "metrics.`objective`"
    WebDriverWait(browser, WAIT).until(lambda b: len(ranked(b, objective)) == 4)
    board = json.loads(recorded("status", "small", "--json").stdout)["leaderboard"]
    values = [float(value) for value in ranked(browser, objective)]
    assert values == [row["last"] if row["value"] is None else row["value"] for row in board]
    assert all(float(rate) > 0 for rate in ranked(browser, "params.`learning_rate`"))
    assert set(ranked(browser, "params.`depth`")) <= {"1", "2"}
    names = {e.text for e in browser.find_elements(By.CSS_SELECTOR, '.ag-row a[href*="/runs/"]')} - {""}
    assert names == {"trial-000", "trial-001", "trial-002", "trial-003"}  # the study's own run is not in the way
    keep_picture(browser, "table.png")
