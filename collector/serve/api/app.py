"""The app: every route, for whom it is, and one way of failing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
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


def build_app(config: ApiConfig, paths: Iterable[Path]) -> Starlette:
    """The ASGI app that answers `paths`, and lists them at `/api/v1`."""
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
            Route(VERSION + path, _by_method(methods), methods=list(methods)) for path, methods in handlers.items()
        ],
        exception_handlers=HANDLERS,
    )


def _by_method(methods: dict[str, Handler]) -> Any:
    async def answer(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method](request)

    return answer
