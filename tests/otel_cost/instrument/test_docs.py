"""The guide names everything that the instrumentation writes and reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_cost import attributes, distro
from otel_cost.instrument import call_span, content, instrumentor, settings, span_attributes

GUIDE = Path(__file__).parents[3] / "docs" / "instrumentation.md"
SOURCES = [Path(module.__file__ or "") for module in (call_span, span_attributes)]
NAMED = re.compile(r"\bkeys\.([A-Z0-9_]+)")
OF_FAMILIES = {"OTEL_COST_USAGE_PREFIX": "otel_cost.usage.<unit>"}
BY_MODALITY = re.compile(r"gen_ai\.usage\.(audio|image)\.")

IN_WORDS = {
    *(attributes.OTEL_COST_AGENT, attributes.GEN_AI_AGENT_NAME, attributes.GEN_AI_CONVERSATION_ID),
    *(attributes.GEN_AI_USAGE_COST_CURRENCY, attributes.GEN_AI_USAGE_COST_SOURCE, attributes.HTTP_RESPONSE_STATUS_CODE),
}
"""Those that the guide speaks of without their names."""


def written() -> list[str]:
    """Constants of all attributes that the modules write."""
    return sorted({name for source in SOURCES for name in NAMED.findall(source.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("constant", written())
def test_every_attribute_on_a_span_is_documented(constant: str) -> None:
    key = OF_FAMILIES.get(constant) or str(getattr(attributes, constant))
    if key not in IN_WORDS and not BY_MODALITY.match(key):
        assert f"`{key}`" in GUIDE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "variable",
    [
        *(distro.DISABLED_VARIABLE, distro.OVERRIDES_VARIABLE, instrumentor.DISABLED_INSTRUMENTATIONS),
        *(settings.HOSTS_VARIABLE, settings.INCLUDE_USAGE_VARIABLE, content.VARIABLE, content.SIZE_VARIABLE),
    ],
)
def test_every_variable_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in GUIDE.read_text(encoding="utf-8")
