"""The reference pages name everything that exists, and the compose file fits what the collector listens on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.budgets.model import SCOPES
from collector.cli.collect_command import command
from collector.config import load
from collector.config.budget import ACTIONS, UNITS, UNPRICED, UNREACHABLE, WEEKDAYS, WINDOWS
from collector.config.load import read_tree
from collector.config.problems import Problems
from collector.serve.probes import METRICS_PATH
from collector.telemetry import ALL_METRICS

ROOT = Path(__file__).parent.parent
SHARED_PREFIX = "exporters.otlphttp."


def _known_keys() -> set[str]:
    """Every key that the grammar asks for, from a file that has every section."""
    text = (ROOT / "tests" / "testdata" / "config" / "everything.yaml").read_text()
    problems = Problems("everything.yaml")
    read_tree(yaml.safe_load(text), problems)
    return problems.known_keys


def _documented(page: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / page).read_text(), re.MULTILINE))


def test_every_config_key_is_documented_and_every_documented_key_exists() -> None:
    """`docs/config.md` and the grammar have the same keys."""
    known = {key for key in _known_keys() if "." in key or key == "service"}
    same_as_grpc = {key for key in known if key.startswith(SHARED_PREFIX) and "endpoint" not in key}
    assert {key.replace(SHARED_PREFIX, "exporters.otlp.") for key in same_as_grpc} <= known
    assert _documented("config.md") == known - same_as_grpc


@pytest.mark.parametrize("word", [*ACTIONS, *SCOPES, *UNITS, *WINDOWS, *UNPRICED, *UNREACHABLE, *WEEKDAYS])
def test_every_word_of_a_budget_rule_is_documented(word: str) -> None:
    """Scopes, units, windows and actions are listed."""
    assert f"`{word}`" in (ROOT / "docs" / "config.md").read_text()


def test_every_metric_is_documented_with_its_own_words() -> None:
    """`docs/metrics.md` has the row of each metric, and no other."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    for metric in ALL_METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |" in page
    assert {name for name in _documented("metrics.md") if " " not in name and "(" not in name} == {
        metric.name for metric in ALL_METRICS
    }


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def _arguments(service: dict[str, Any]) -> list[str]:
    return [str(word) for word in service["command"]]


def test_compose_starts_the_collector_with_a_valid_config_and_known_options() -> None:
    """The mounted config is valid, reachable from the other containers, and the command may expose it."""
    collector = _compose()["services"]["collector"]
    words = _arguments(collector)
    mounted = {parts[1]: parts[0] for parts in (volume.split(":") for volume in collector["volumes"])}
    config_file = words[words.index("--config") + 1]
    config = load(ROOT / mounted[config_file], {})
    assert len(config.exposed()) == 4
    assert config.warnings == ()
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert "--allow-unauthenticated" in words


def test_compose_ports_and_targets_are_those_of_the_config() -> None:
    """Published ports exist, the app sends where the collector listens, Prometheus asks where it answers."""
    services = _compose()["services"]
    config = load(ROOT / "dashboards" / "compose-collector.yaml", {})
    assert config.grpc is not None
    assert config.http is not None
    assert config.prometheus is not None
    published = {int(port.split(":")[-1]) for port in services["collector"]["ports"]}
    assert config.api is not None
    assert published == {config.grpc.port, config.http.port, config.prometheus.port, config.api.endpoint.port}
    app_target = services["app"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert app_target == f"http://collector:{config.grpc.port}"
    scrape = yaml.safe_load((ROOT / "dashboards" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["static_configs"][0]["targets"] == [f"collector:{config.prometheus.port}"]
    assert scrape.get("metrics_path", "/metrics") == METRICS_PATH
    target = config.forward[0].endpoint.partition(":")[0]
    assert target in services
    datasources = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/prometheus.yml").read_text())
    host, port = datasources["datasources"][0]["url"].removeprefix("http://").split(":")
    assert any(mapping.endswith(f":{port}") for mapping in services[host]["ports"])


def test_compose_pins_images_mounts_what_exists_and_reaches_loopback_only() -> None:
    """Images have a version, mounted files are in the tree, and ports are published on 127.0.0.1."""
    for name, service in _compose()["services"].items():
        if "image" in service and "build" not in service:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", service["image"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"
        if name != "app":
            assert "healthcheck" in service, name


def test_the_dockerfile_copies_what_exists() -> None:
    """Every COPY source of the image is in the tree and not ignored."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert source in allowed, source
