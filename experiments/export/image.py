"""The Dockerfile of an export for LiteRT: an image of the web server and the model, without TensorFlow and MLflow."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

PACKAGES = (  # what `tailor serve DIR` imports; tests/package_check.sh starts it in an environment of these alone
    "ai-edge-litert", "anyio", "click", "fastapi", "numpy", "pillow", "prometheus-client", "psutil", "pydantic", "rich",
    "starlette", "uvicorn",
)  # fmt: skip
IMAGE_FILES = ("Dockerfile", "requirements.txt")
DOCKERFILE = """\
# The web server of one exported model. Beside this file:
#   docker build -t {name} . && docker run --rm -p 127.0.0.1:8000:8000 {name}
FROM python:{python}-slim
WORKDIR /served
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
# A wheel of Tailor that lies in this folder is taken instead of the published one. Its other requirements are for searches.
COPY . model/
RUN pip install --no-cache-dir --no-deps --find-links model tailor-hpo=={tailor}
USER nobody
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["tailor", "serve", "./model", "--host", "0.0.0.0"]
"""


def name_image(name: str) -> str:
    """A name that Docker takes for an image: letters and digits of ASCII, with single dashes between them."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def write_image_files(folder: Path, name: str) -> None:
    """Write the IMAGE_FILES, with the versions that are installed here."""
    dockerfile, requirements = (folder / one for one in IMAGE_FILES)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    filled = DOCKERFILE.format(name=name_image(name), python=python, tailor=importlib.metadata.version("tailor-hpo"))
    dockerfile.write_text(filled, encoding="utf-8")
    lines = [f"{package}=={importlib.metadata.version(package)}\n" for package in PACKAGES]
    requirements.write_text("".join(lines), encoding="utf-8")
