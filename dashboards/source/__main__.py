"""`python -m dashboards.source` writes the JSON of all dashboards and the alert rules."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.source import agents, alerts, budgets, collector, overview, trust

ROOT = Path(__file__).parent.parent
BUILDERS = {
    "overview": overview.build,
    "agents": agents.build,
    "budgets": budgets.build,
    "collector": collector.build,
    "ledger": trust.build,
}
DATASOURCE_UID = "prometheus"
"""Of `provisioning/datasources`."""
_HEAD = "# Written by python -m dashboards.source; do not edit.\n"


def written() -> dict[str, str]:
    """Every file, by its place in this folder."""
    boards = {
        f"grafana/{name}.json": json.dumps(build().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, build in BUILDERS.items()
    }
    rules = {
        "alerts.yml": alerts.prometheus_rules(),
        "provisioning/alerting/otel-cost.yml": alerts.grafana_rules(DATASOURCE_UID),
    }
    return {
        **boards,
        **{name: _HEAD + yaml.safe_dump(rule, sort_keys=False, width=120) for name, rule in rules.items()},
    }


def main() -> None:
    """Write them."""
    for name, content in written().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
