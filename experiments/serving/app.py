"""The server's routes: the page, predictions of image files, MLflow's scoring protocol, health and metrics."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Query, Request
from fastapi.middleware import Middleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from ...search.errors import storable
from ..datasets.folder import Header, Upload, read_header, show_size
from ..datasets.prepare import Invert, prepare
from ..errors import InputError
from .limits import FEW_PIXELS
from .metrics import Measure, Metrics
from .model import Answering, ServedModel
from .page import as_data_url, read_page
from .scoring import parse_images

MOST_BYTES = 20_000_000  # of a request's body
MOST_PIXELS = 25_000_000  # of an image file: a phone's photo has 12 million
FEW_BYTES = 16_000  # of a file: a smaller one of few pixels is answered at once; a thread would cost more time
BROKEN_OFF = 499  # the status that proxies log for a client that left; nobody gets it
AT_ONCE = 2  # predictions of one process: each may hold a decoded photo
FORM = "body: expected the image file itself, got a form; send it alone, with curl as `--data-binary @FILE` in place of `-F`."
PATHS = ("/", "/predict", "/invocations", "/model", "/card", "/healthz", "/metrics", "/ping", "/version", "/openapi.json")
IMAGE_BODY = {"requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}}
JSON_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@dataclass(frozen=True)
class _Wanted:
    """What a request asks for; `header` is the file's, if it was read already."""

    top: int
    invert: Invert
    seen: bool
    header: Header | None = None


class ClassProbability(BaseModel):
    """A class and its probability, 0 to 1."""

    label: str
    probability: float


class Answer(BaseModel):
    """What /predict returns. `changes` is what was done to the image, `warnings` what is strange about it.

    `seen` is a PNG of what the model took, as a data URL.
    """

    name: str
    version: str
    classes: list[ClassProbability]
    changes: list[str]
    warnings: list[str]
    latency_ms: float
    seen: str | None = None


def make_app(live: Answering, hosts: Sequence[str]) -> FastAPI:
    """The application that answers with the model of `live`, for requests whose Host is one of `hosts`."""
    metrics = Metrics()
    app = FastAPI(
        title=f"Tailor: {live.model.name}",
        docs_url=None,  # FastAPI's pages load scripts from another server
        redoc_url=None,
        middleware=[
            Middleware(Measure, metrics=metrics, paths=PATHS),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MOST_BYTES),
        ],
    )
    page, headers = read_page()
    limiter = CapacityLimiter(AT_ONCE)

    @app.post("/predict", openapi_extra=IMAGE_BODY, response_model=Answer)
    async def predict(
        request: Request, top: int = Query(3, ge=1, le=1000), invert: Invert = "auto", seen: bool = False
    ) -> Response:
        """The likeliest classes of an image file, which is the body; with `seen` also the image as the model took it (a PNG)."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise InputError(FORM)
        upload, model = Upload(await request.body()), live.model
        if len(upload.getbuffer()) > FEW_BYTES:
            return await to_thread.run_sync(_classify, model, upload, _Wanted(top, invert, seen), limiter=limiter)
        header = _read_header(upload)
        wanted = _Wanted(top, invert, seen, header)
        if max(header.size) <= FEW_PIXELS and model.quick:
            return _classify(model, upload, wanted)
        return await to_thread.run_sync(_classify, model, upload, wanted, limiter=limiter)

    @app.post("/invocations", openapi_extra=JSON_BODY)
    async def invocations(request: Request) -> Response:
        """MLflow's scoring protocol: {"instances": [IMAGE, …]} of raw pixels, 0 to 255, to {"predictions": [[…], …]}."""
        body = await request.body()
        try:
            return await to_thread.run_sync(_score, live.model, body, limiter=limiter)
        except InputError as error:
            return _refuse("message", error, error_code="BAD_REQUEST")

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @app.get("/model")
    async def describe() -> dict[str, Any]:
        """The model that answers."""
        model = live.model
        return {"name": model.name, "version": model.version, "shape": model.shape, "labels": model.labels}

    @app.get("/card")
    async def card() -> PlainTextResponse:
        """The model's card, in Markdown."""
        return PlainTextResponse(live.model.card)

    @app.get("/healthz")
    @app.get("/ping", include_in_schema=False)  # MLflow's name for it
    async def healthz() -> dict[str, Any]:
        """Whether the server answers, and with which version; `trouble` says why it is not the one that the registry names."""
        return {"status": "ok", "name": live.model.name, "version": live.model.version, "trouble": live.trouble}

    @app.get("/version", include_in_schema=False)  # of MLflow, in its protocol
    async def version() -> PlainTextResponse:
        found = [one.version for one in importlib.metadata.distributions(name="mlflow")]
        return PlainTextResponse(found[0]) if found else PlainTextResponse("MLflow is not installed here", 404)

    @app.get("/metrics")
    async def show_metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        metrics.version.labels(live.model.name).set(int(live.model.version))
        return PlainTextResponse(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(InputError)
    async def refuse(request: Request, error: InputError) -> JSONResponse:
        return _refuse("detail", error)

    @app.exception_handler(ClientDisconnect)
    async def note_broken_off(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=BROKEN_OFF)

    return app


def _refuse(field: str, error: InputError, **more: str) -> JSONResponse:
    """The answer to a wrong request: JSON with the error's text, which may repeat half a character of the request's."""
    return JSONResponse({**more, field: storable(str(error))}, 400)


def _read_header(upload: Upload) -> Header:
    """The header of an image file. Raises InputError if it is no image, or too large."""
    header = read_header(upload)
    if header.size[0] * header.size[1] > MOST_PIXELS:
        raise InputError(f"{upload}: expected at most {MOST_PIXELS:,} pixels, got {show_size(header.size)}; reduce it.")
    return header


def _classify(model: ServedModel, upload: Upload, wanted: _Wanted) -> Response:
    start = time.perf_counter()
    ready = prepare(upload, wanted.header or _read_header(upload), model.shape, model.looks, wanted.invert)
    probabilities = model.predict(ready.image[np.newaxis])[0]
    classes = [
        ClassProbability(label=model.labels[i], probability=float(probabilities[i]))
        for i in probabilities.argsort()[::-1][: wanted.top]
    ]
    answer = Answer(
        name=model.name,
        version=model.version,
        classes=classes,
        changes=ready.changes,
        warnings=ready.warnings,
        latency_ms=round((time.perf_counter() - start) * 1000, 3),
        seen=as_data_url(ready.image) if wanted.seen else None,
    )
    return Response(answer.model_dump_json(), media_type="application/json")  # FastAPI would check and copy it first


def _score(model: ServedModel, body: bytes) -> JSONResponse:
    return JSONResponse({"predictions": model.predict(parse_images(body, model.shape)).tolist()})
