"""Pages for people: files of this package, which may run nothing but the script that is in them."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path as File

from collector.serve.api.app import Page


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
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Page(path, html, headers)


def _hashes(html: str, tag: str) -> str:
    """Sources of Content Security Policy for the elements in a page (CSP level 2, "Hash usage")."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found)
