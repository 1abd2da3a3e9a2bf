"""Every question that the API answers, by path, with the names of its parameters: no collector is needed to know."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

from collector.serve.api.app import Path
from collector.serve.api.budgets import budget_paths
from collector.serve.api.budgets_approvals import approval_paths
from collector.serve.api.exports import export_paths
from collector.serve.api.forecasts import forecast_paths
from collector.serve.api.login import login_paths
from collector.serve.api.news import News, news_path
from collector.serve.api.runs import run_views
from collector.serve.api.trust import price_path, trust_views
from collector.serve.api.viewing import Viewer
from collector.serve.api.views import spend_views

NOBODY = cast(Any, None)
"""Whoever would answer: nothing is asked here."""


def _paths() -> list[Path]:
    viewer = Viewer(NOBODY, ZoneInfo("UTC"))
    views = [*spend_views(), *run_views(NOBODY, None), *trust_views()]
    return [
        *(viewer.route(view) for view in views),
        *forecast_paths(viewer, NOBODY),
        *export_paths(viewer),
        price_path(NOBODY),
        news_path(News()),
        *approval_paths(NOBODY),
        *budget_paths(NOBODY),
        *login_paths(NOBODY, {}),
    ]


API = {path.path: {parameter.name for parameter in path.parameters} for path in _paths()}
