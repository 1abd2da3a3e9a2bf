"""Every question that the API answers, by path, with the names of its parameters: no collector is needed to know."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from collector.api_desk import all_paths
from collector.serve.api.login import login_paths
from collector.serve.api.news import News
from collector.serve.api.viewing import Viewer

NOBODY = cast(Any, None)
"""Whoever would answer: nothing is asked here."""
API = {
    path.path: {parameter.name for parameter in path.parameters}
    for path in (
        *all_paths(Viewer(NOBODY, ZoneInfo("UTC")), NOBODY, NOBODY, NOBODY, NOBODY, News(), None),
        *login_paths(NOBODY, {}),
    )
}
"""Below `/api/v1`."""
