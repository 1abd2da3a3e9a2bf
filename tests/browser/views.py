"""What there is to see: every view with the parameters that show most of it."""

from __future__ import annotations

import json
from urllib.request import urlopen

from tests.support.collector_process import CollectorProcess

VIEWS = {
    "overview": "/?compare=previous",
    "breakdown": "/?view=breakdown&by=agent",
    "breakdown by two": "/?view=breakdown&by=customer&by=model&sort=calls",
    "models": "/?view=models",
    "runs": "/?view=runs",
    "one run": "/?view=runs&id={run}",
    "agents": "/?view=agents",
    "customers": "/?view=customers",
    "projects": "/?view=customers&of=project",
    "budgets": "/?view=budgets",
    "forecast": "/?view=forecast",
    "what if": "/?view=what-if&models=gpt-5-mini,claude-haiku-4-5,grok-4.7&by=model&benchmark=GPQA&min_score=9",
    "waste": "/?view=waste",
    "prices": "/?view=prices",
}
"""Name to address; {run} stands for a run of the ledger."""
FILTER_KEYS = (
    *("environment", "provider", "model", "request_model", "response_model", "agent", "run", "trace_id"),
    *("conversation", "customer", "feature", "team", "user", "project", "status", "cost_status", "service_tier"),
    *("service_name", "operation"),
)
"""Parameters behind the twelve filters."""


def some_run(collector: CollectorProcess) -> str:
    """The dearest one. A collector that has just started may take a while on a busy machine."""
    with urlopen(f"{collector.api_url}/api/v1/runs?limit=1", timeout=60) as answer:
        return str(json.load(answer)["runs"][0]["run"])
