"""The description of the API: every route is in it, and a real server does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from collector.serve.api.shapes import Schemas
from tests.collector.serve.api.full import Collector

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "/api/v1/stream"


@pytest.fixture(scope="module")
def described(collector: Collector) -> dict[str, Any]:
    answer = collector.request("GET", "/api/v1/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_of_the_server_is_described(collector: Collector, described: dict[str, Any]) -> None:
    """The routes are those that answer: a path that nobody describes is not found."""
    listed = {(each["method"].lower(), each["path"].replace(":path}", "}")) for each in collector.get("")["paths"]}
    assert {(method, path) for path, methods in described["paths"].items() for method in methods} == listed
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert operation["responses"], (method, path)


def test_every_reference_in_the_description_leads_somewhere(described: dict[str, Any]) -> None:
    for reference in _references(described):
        target: Any = described
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for item in node.values():
            yield from _references(item)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def test_views_have_typed_answers(described: dict[str, Any]) -> None:
    """Every GET that answers JSON about calls names the type of its answer, with nothing left open."""
    schemas = described["components"]["schemas"]
    for name in ("BreakdownShown", "TickerShown", "TimeseriesShown", "TraceShown", "ProjectionsShown"):
        assert schemas[name]["additionalProperties"] is False
        assert {"selection", "as_of"} <= set(schemas[name]["required"])


def test_a_type_without_a_form_in_json_has_no_schema() -> None:
    with pytest.raises(TypeError):
        Schemas().of(complex)


def test_the_server_does_what_its_description_says(collector: Collector, described: dict[str, Any]) -> None:
    """The short form: a few requests of every operation, valid ones."""
    _try_all(collector, described, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_server_does_what_its_description_says_at_length(collector: Collector, described: dict[str, Any]) -> None:
    _try_all(collector, described, 150)


def _try_all(collector: Collector, described: dict[str, Any], examples: int) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(described)))
    tried = 0
    operations: list[Any] = list(schema.get_all_operations())
    for result in operations:
        operation = result.ok()
        if operation.path != ENDLESS:
            _try(operation, collector.url, examples)
            tried += 1
    assert tried == sum(map(len, described["paths"].values())) - 1


def _try(operation: Any, url: str, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        case.validate_response(case.call(base_url=url, timeout=60), checks=CHECKS)

    once()
