"""Pages for people: files of this package, which may run nothing but the scripts that come with them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import escape
from pathlib import Path as File

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from collector.serve import dashboard
from collector.serve.api.app import Page
from collector.serve.api.bundle import bundled
from collector.serve.api.errors import not_found
from collector.serve.api.static import Charts, Folder
from otel_cost import __version__

DASHBOARD = File(dashboard.__file__).parent
STATIC = "/static"
SCRIPTS = {"head.js": "early.js", "page.js": "main.js"}
"""Modules as one file each, and the one of them that starts it: before the first paint, and the page itself."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and styles are files of ours alone: none in the page, none made from text, none from elsewhere."""
COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


def page_routes(on_shown: Callable[[], None] = lambda: None) -> list[BaseRoute]:
    """The dashboard at `/`, and its files under `/static`. `on_shown`: somebody looks at it, and will ask at once."""
    own = Folder(DASHBOARD, {name: bundled(DASHBOARD, entry).encode() for name, entry in SCRIPTS.items()})
    charts = Charts.installed()
    folders = {folder.digest: folder for folder in (own, charts) if folder is not None}
    html = _dashboard_html(own, charts)
    tag = f'"{sha256(html.encode()).hexdigest()[:16]}"'
    headers = {**COMMON, "Content-Security-Policy": POLICY, "ETag": tag}

    async def shown(request: Request) -> Response:
        on_shown()
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(html, headers=headers)

    async def file(request: Request) -> Response:
        folder = folders.get(request.path_params["digest"])
        if folder is None:
            raise not_found(f"there is nothing at {request.url.path}")
        return await folder.answer(request.path_params["name"], request)

    return [Route("/", shown), Route(STATIC + "/{digest}/{name:path}", file)]


def _dashboard_html(own: Folder, charts: Charts | None) -> str:
    base = f"{STATIC}/{own.digest}"
    values = {
        "static": base,
        "charts": f"{STATIC}/{charts.digest}/{charts.FILE}" if charts else "",
        "version": __version__,
    }
    html = (DASHBOARD / "index.html").read_text(encoding="utf-8")
    for name, value in values.items():
        html = html.replace(f"{{{{{name}}}}}", escape(value))
    known = [f'<meta name="otel-cost-no-style" id="{name}">' for name in (charts.style_ids if charts else ())]
    return html.replace("<!-- charts -->", "\n".join(known))


def approvals_page() -> Page:
    """Where people decide on requests to raise a limit."""
    return page("/approvals", "approvals.html")


def page(path: str, file: str) -> Page:
    """A file as a page. Names in it that come from apps are text whatever happens: no other script may run."""
    html = File(__file__).with_name(file).read_text(encoding="utf-8")
    scripts, styles = (_hashes(html, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(path, html, {**COMMON, "Content-Security-Policy": policy})


def _hashes(html: str, tag: str) -> str:
    """Sources of Content Security Policy for the elements in a page (CSP level 2, "Hash usage")."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found)
