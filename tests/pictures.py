"""`python tests/pictures.py`: the pictures of README and docs, of one real search of Fashion-MNIST (TAILOR_DATA).

Each PNG holds the SHA-256 of the files that draw what it shows; `test_pictures.py` tells when they have changed since.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from selenium import webdriver

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
DRAWN_BY = {
    "leaderboard": ("experiments/cli/leaderboard.py", "experiments/cli/status.py"),
    "mlflow": ("experiments/tracking/study_page.py",),
    "report": tuple(f"experiments/reports/{name}" for name in ("page.html", "style.html", "charts.py", "axes.py", "pages.py")),
    "serve": ("experiments/serving/page.html",),
}
STATUS = ("status", "fashion-mlp")
SEARCH = ("search", "fashion-mlp", "--trials", "12", "--max-epochs", "8")
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"  # MLflow's, over the page
WAIT = 90  # seconds for a page


def digest(picture: str) -> str:
    """The SHA-256 of the files that draw what a picture shows."""
    return hashlib.sha256(b"\0".join((ROOT / file).read_bytes() for file in DRAWN_BY[picture])).hexdigest()


def made_of(picture: str) -> str | None:
    """The digest that a picture was made with; None if it has none."""
    with Image.open(PICTURES / f"{picture}.png") as image:
        return image.info.get("drawn-by")


def keep(picture: str, png: bytes) -> None:
    """Write a picture in few colours, with what it was made of."""
    info = PngInfo()
    info.add_text("drawn-by", digest(picture))
    colours = Image.open(io.BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    colours.save(PICTURES / f"{picture}.png", optimize=True, pnginfo=info)
    print(f"docs/pictures/{picture}.png", flush=True)


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from browsers import CHROMIUM, DRIVER, open_browser

    if not (CHROMIUM and DRIVER and "TAILOR_DATA" in os.environ):
        sys.exit("make pictures needs Debian's chromium and chromium-driver, and TAILOR_DATA, the folder with fashion-mnist/")
    with tempfile.TemporaryDirectory(prefix="tailor-pictures-") as name:
        folder = Path(name)
        run(folder, *SEARCH)
        screen = run(folder, *STATUS, FORCE_COLOR="1")
        run(folder, "promote", "fashion-mlp", "--to", "clothes")
        run(folder, "report", "fashion-mlp", "-o", "report.html")
        with open_browser(folder / "chromium") as browser:
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_ASSISTANT})
            draw_screen(browser, folder, screen)
            draw_report(browser, folder)
            draw_mlflow(browser, folder)
            draw_served(browser, folder)


def run(folder: Path, *arguments: str, **more: str) -> str:
    """What a command prints for a screen of 80 columns."""
    print("tailor", *arguments, flush=True)
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color", **more}
    command = [sys.executable, "-m", "tailor", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


def draw_screen(browser: webdriver.Chrome, folder: Path, screen: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=80, file=io.StringIO())
    console.print(f"$ tailor {' '.join(STATUS)}", style="bold", highlight=False)
    console.print(Text.from_ansi(screen.rstrip()))
    drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="tailor"), flags=re.DOTALL)  # they would be fetched
    (folder / "screen.html").write_text(f"<body style='margin:0'>{drawn}</body>", encoding="utf-8")
    open_page(browser, (folder / "screen.html").as_uri(), 1000, 3000)
    keep("leaderboard", browser.find_element("css selector", "svg").screenshot_as_png)


def draw_report(browser: webdriver.Chrome, folder: Path) -> None:
    open_page(browser, (folder / "report.html").as_uri(), 1280, 1000)
    keep("report", browser.get_screenshot_as_png())


def draw_mlflow(browser: webdriver.Chrome, folder: Path) -> None:
    from faults import free_port
    from selenium.webdriver.support.ui import WebDriverWait
    from servers import tailor_ui

    plots = "return document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length"
    with tailor_ui(folder, free_port(), "fashion-mlp") as (_, pages):
        open_page(browser, pages[0], 1280, 800)
        WebDriverWait(browser, WAIT).until(lambda b: b.execute_script(plots) > len(SEARCH))
        keep("mlflow", browser.get_screenshot_as_png())


def draw_served(browser: webdriver.Chrome, folder: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait
    from servers import tailor_serve

    images = Path(os.environ["TAILOR_DATA"]) / "fashion-mnist" / "t10k-images-idx3-ubyte.gz"
    pixels = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, count=28 * 28, offset=16).reshape(28, 28)
    Image.fromarray(255 - pixels).resize((280, 280)).save(folder / "boot.png")  # as photographs are: dark on white
    with tailor_serve(folder, "clothes") as address:
        open_page(browser, address, 1080, 640)
        browser.find_element("id", "file").send_keys(str(folder / "boot.png"))
        WebDriverWait(browser, WAIT).until(lambda b: b.find_elements("css selector", "#classes li"))
        keep("serve", browser.get_screenshot_as_png())


def open_page(browser: webdriver.Chrome, address: str, width: int, height: int) -> None:
    from browsers import set_width

    set_width(browser, width, height)
    browser.get(address)


if __name__ == "__main__":
    main()
