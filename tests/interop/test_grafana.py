"""A real Grafana, where one is on this machine, provisions the dashboards, data sources and alert rules."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dashboards.expressions import ROOT, alerts, dashboards
from tests.interop.backends import NotObtainable, eventually, got, grafana_home, running
from tests.support.ports import free_port

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


def test_grafana_loads_every_dashboard_and_rule(tmp_path: Path) -> None:
    """All titles are found by its search, and its ruler has all rules."""
    try:
        program, home = grafana_home()
    except NotObtainable as error:
        pytest.skip(f"no Grafana: {error}")
    provisioning = tmp_path / "provisioning"
    shutil.copytree(ROOT / "provisioning", provisioning)
    provider = provisioning / "dashboards" / "otel-cost.yml"
    provider.write_text(provider.read_text().replace("/etc/grafana/dashboards", str(ROOT / "grafana")))
    port = free_port()
    settings = {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(tmp_path / "data"),
        "GF_PATHS_LOGS": str(tmp_path / "logs"),
        "GF_PATHS_PLUGINS": str(tmp_path / "plugins"),
        "GF_PATHS_PROVISIONING": str(provisioning),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Admin",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "OTEL_COST_API_URL": "http://127.0.0.1:8321",
        "OTEL_COST_API_TOKEN": "none",
    }
    command = [str(program), *(["server"] if program.name == "grafana" else []), "--homepath", str(home)]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/api/health", tmp_path / "grafana.log", settings):
        titles = {board["title"] for board in dashboards().values()}
        eventually(lambda: titles <= {found["title"] for found in got(f"{url}/api/search?type=dash-db")})
        rules = got(f"{url}/api/v1/provisioning/alert-rules")
        assert {rule["title"] for rule in rules} == {asked.where for asked in alerts()}
