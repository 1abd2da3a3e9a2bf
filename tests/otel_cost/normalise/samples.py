"""The recorded OTLP/JSON traces as spans, and what each of them is expected to hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.strategies import Span

FOLDER = Path(__file__).parents[2] / "testdata" / "otlp_samples"
SAMPLES = sorted(path for path in FOLDER.glob("*.json") if not path.name.endswith(".expected.json"))


def expected_of(path: Path) -> dict[str, Any]:
    """The sample's expectations."""
    found: dict[str, Any] = json.loads(path.with_name(f"{path.stem}.expected.json").read_text())
    return found


def sample_spans(path: Path) -> Iterator[tuple[str, Span]]:
    """(span id, span) of every span of a sample."""
    for resource_spans in json.loads(path.read_text())["resourceSpans"]:
        resource = _attributes(resource_spans.get("resource", {}))
        for scope_spans in resource_spans["scopeSpans"]:
            scope = scope_spans.get("scope", {}).get("name")
            for span in scope_spans["spans"]:
                status = int(span.get("status", {}).get("code", 0))
                made = Span(scope, span["name"], int(span.get("kind", 0)), status, _attributes(span), resource)
                yield span["spanId"], made


def _attributes(holder: dict[str, Any]) -> dict[str, object]:
    return {row["key"]: _value(row["value"]) for row in holder.get("attributes", [])}


def _value(value: dict[str, Any]) -> object:
    ((kind, inner),) = value.items()
    if kind == "arrayValue":
        return [_value(one) for one in inner.get("values", [])]
    return int(inner) if kind == "intValue" else float(inner) if kind == "doubleValue" else inner
