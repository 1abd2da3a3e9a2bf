"""The app: every route, for whom it is, and one way of failing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from collector.serve.api.auth import Guard, Handler
from collector.serve.api.config import ApiConfig, Role
from collector.serve.api.errors import HANDLERS
from otel_cost import __version__

VERSION = "/api/v1"


class Path(NamedTuple):
    """One route: `path` follows `/api/v1`."""

    method: str
    path: str
    role: Role
    handler: Handler
    summary: str  # for the list of what there is, and for OpenAPI


class Page(NamedTuple):
    """A page for people, the same for everybody; what it shows it asks the API for."""

    path: str
    html: str
    headers: Mapping[str, str]


def build_app(config: ApiConfig, paths: Iterable[Path], pages: Iterable[Page] = ()) -> Starlette:
    """The ASGI app that answers `paths`, lists them at `/api/v1`, and has `pages`."""
    guard = Guard(config)
    known = list(paths)

    async def listing(_: Request) -> Response:
        listed = [{"method": path.method, "path": VERSION + path.path, "summary": path.summary} for path in known]
        return JSONResponse({"version": __version__, "paths": listed})

    known.insert(0, Path("GET", "", Role.VIEWER, listing, "what there is"))
    handlers: dict[str, dict[str, Handler]] = {}
    for path in known:
        handlers.setdefault(path.path, {})[path.method] = guard(path.role, path.handler)
    return Starlette(
        routes=[
            *(Route(VERSION + path, _by_method(methods), methods=list(methods)) for path, methods in handlers.items()),
            *(Route(page.path, _shown(page)) for page in pages),
        ],
        exception_handlers=HANDLERS,
    )


def _by_method(methods: dict[str, Handler]) -> Any:
    async def answer(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method](request)

    return answer


def _shown(page: Page) -> Handler:
    async def answer(_: Request) -> Response:
        return HTMLResponse(page.html, headers=page.headers)

    return answer
