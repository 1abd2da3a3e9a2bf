"""The app: every route, for whom it is, and one way of failing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from collector.serve.api.auth import Guard
from collector.serve.api.config import ApiConfig, Role
from collector.serve.api.errors import HANDLERS
from collector.serve.api.path import VERSION, Handler, Page, Path
from otel_cost import __version__

__all__ = ["VERSION", "Page", "Path", "build_app"]


def build_app(
    config: ApiConfig, paths: Iterable[Path], pages: Iterable[Page] = (), routes: Iterable[BaseRoute] = ()
) -> Starlette:
    """The ASGI app that answers `paths`, lists them at `/api/v1`, and has `pages` and other `routes`.

    What `routes` show is the same for everybody: only `paths` are guarded.
    """
    guard = Guard(config)
    known = list(paths)

    async def listing(_: Request) -> Response:
        listed = [{"method": path.method, "path": path.full, "summary": path.summary} for path in known]
        return JSONResponse({"version": __version__, "paths": listed})

    known.insert(0, Path("GET", "", Role.VIEWER, listing, "what there is"))
    handlers: dict[str, dict[str, Handler]] = {}
    for path in known:
        handlers.setdefault(path.full, {})[path.method] = guard(path.role, path.handler)
    return Starlette(
        routes=[
            *(Route(path, _by_method(methods), methods=list(methods)) for path, methods in handlers.items()),
            *(Route(page.path, _shown(page)) for page in pages),
            *routes,
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
