"""The page on the API names every route, with its role, and no other."""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Any, cast
from zoneinfo import ZoneInfo

from collector.api_desk import all_paths
from collector.serve.api.login import NO_LINKS, login_paths
from collector.serve.api.news import News
from collector.serve.api.openapi import template
from collector.serve.api.viewing import Viewer

PAGE = File(__file__).parent.parent / "docs" / "api.md"
ROW = re.compile(r"^\| `(GET|POST|PUT|DELETE) (/\S*)` \| (\w+) \|", re.MULTILINE)
OF_EVERY_API = {("GET", "/api/v1", "viewer"), ("GET", "/api/v1/openapi.json", "viewer")}


def test_every_route_is_documented_with_its_role() -> None:
    nobody = cast(Any, None)  # routes are made without being asked
    paths = all_paths(Viewer(nobody, ZoneInfo("UTC")), nobody, nobody, nobody, nobody, News(), None)
    known = {
        (path.method, template(path), "anybody" if path.is_open else path.role.name.lower())
        for path in (*paths, *login_paths(nobody, NO_LINKS))
    }
    assert set(ROW.findall(PAGE.read_text())) == known | OF_EVERY_API
