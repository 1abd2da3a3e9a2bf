"""The app: every route, for whom it is, and one way of failing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from collector.serve.api.auth import Guard
from collector.serve.api.config import ApiConfig, Role
from collector.serve.api.errors import HANDLERS
from collector.serve.api.login import NO_LINKS, Links, login_paths
from collector.serve.api.openapi import description
from collector.serve.api.path import VERSION, Handler, Page, Path, Returns
from collector.serve.api.responses import json_response
from otel_cost import __version__

__all__ = ["VERSION", "Page", "Path", "build_app"]

MIN_GZIP_BYTES = 1024
"""Smaller answers fit one packet as they are."""
GZIP_LEVEL = 4
"""Of 9: a tenth larger than the best, in a quarter of its time."""


class ListedPath(TypedDict):
    """One route."""

    method: str
    path: str
    summary: str


class Listing(TypedDict):
    """What there is."""

    version: str
    paths: list[ListedPath]


def build_app(
    config: ApiConfig,
    paths: Iterable[Path],
    pages: Iterable[Page] = (),
    routes: Iterable[BaseRoute] = (),
    links: Links = NO_LINKS,
) -> Starlette:
    """The ASGI app that answers `paths`, lists them at `/api/v1`, and has `pages` and other `routes`.

    What `routes` show is the same for everybody: only `paths` are guarded. `links` are other tools that a page may
    point to.

    Raises:
        StartupError: keys of JWTs cannot be read.
    """
    guard = Guard(config)
    known = [*login_paths(guard, links), *paths]

    async def listing(_: Request) -> Response:
        listed = [{"method": path.method, "path": path.full, "summary": path.summary} for path in known]
        return JSONResponse({"version": __version__, "paths": listed})

    async def described(request: Request) -> Response:
        return json_response(request, description(known))

    known.insert(0, Path("GET", "", Role.VIEWER, listing, "what there is", returns=Returns(Listing)))
    known.insert(1, Path("GET", "/openapi.json", Role.VIEWER, described, "the same, described as OpenAPI 3.1"))
    handlers: dict[str, dict[str, Handler]] = {}
    for path in known:
        handlers.setdefault(path.full, {})[path.method] = (
            guard.open(path.handler) if path.is_open else guard(path.role, path.handler, strict=path.strict)
        )
    app = Starlette(
        routes=[
            *(Route(path, _by_method(methods), methods=list(methods)) for path, methods in handlers.items()),
            *(Route(page.path, _shown(page)) for page in pages),
            *routes,
        ],
        exception_handlers=HANDLERS,
        middleware=[Middleware(GZipMiddleware, minimum_size=MIN_GZIP_BYTES, compresslevel=GZIP_LEVEL)],
    )
    app.router.redirect_slashes = False  # it would send people to whatever host their request names
    return app


def _by_method(methods: dict[str, Handler]) -> Any:
    async def answer(request: Request) -> Response:
        if request.method != "HEAD":
            return await methods[request.method](request)
        response = await methods["GET"](request)
        return _head_of(response) if isinstance(response, StreamingResponse) else response

    return answer


def _head_of(response: StreamingResponse) -> Response:
    """Nobody takes what would be made one part after the other, without end for some."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    head = Response(status_code=response.status_code, headers=headers)
    del head.headers["content-length"]
    return head


def _shown(page: Page) -> Handler:
    async def answer(_: Request) -> Response:
        return HTMLResponse(page.html, headers=page.headers)

    return answer
