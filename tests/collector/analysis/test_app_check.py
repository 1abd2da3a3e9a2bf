"""What is said of an app's model calls: what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from collector.analysis.app_check import Process, Seen, findings

PRICED = Seen(
    provider="openai",
    model="gpt-4o",
    operation="chat",
    scopes=("otel_cost.instrument",),
    is_enriched=False,
    failed=False,
    counted=True,
    has_usage=True,
    cost_status="priced",
    cost_reason=None,
    calls=2,
    with_agent=2,
    with_customer=2,
    cost_usd=Decimal("0.01"),
)
PROCESS = Process(7, "python", "python app.py", True, {"openai": "3.0"}, (), (), {})


def test_an_app_whose_calls_all_have_a_price_and_owners_needs_nothing() -> None:
    assert findings([PRICED], [PROCESS]) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(PRICED, has_usage=False, cost_status="unpriced", cost_reason="no usage reported"), "include_usage"),
        (replace(PRICED, cost_status="unpriced", cost_reason="unknown model"), "docs/overrides.md"),
        (replace(PRICED, cost_status="partial", cost_reason="no rate for web_searches"), "docs/overrides.md"),
    ],
)
def test_calls_without_a_whole_price_are_wrong_and_have_a_remedy(seen: Seen, words: str) -> None:
    (finding,) = findings([seen], [PROCESS])
    assert finding.is_wrong
    assert "2 x openai gpt-4o" in finding.what
    assert words in finding.do


def test_estimates_and_missing_owners_are_advice_only() -> None:
    seen = replace(PRICED, cost_status="estimated", with_agent=0, with_customer=1)
    found = findings([seen], [PROCESS])
    assert [finding.is_wrong for finding in found] == [False, False, False]
    assert {"2 of 2 calls name no agent", "1 of 2 calls name no customer"} <= {finding.what for finding in found}


def test_failed_calls_cost_nothing_and_are_not_reproached() -> None:
    assert findings([replace(PRICED, failed=True, has_usage=False, cost_status="free")], [PROCESS]) == []


def test_an_app_without_otel_cost_is_told_to_install_it() -> None:
    (finding,) = findings([], [])
    assert "pip install otel-cost" in finding.do


def test_an_app_that_called_nothing_is_said_to_have_called_nothing() -> None:
    (finding,) = findings([], [PROCESS])
    assert "no model call, though it loaded openai" in finding.what


def test_a_python_without_otel_cost_that_calls_no_model_is_not_the_apps() -> None:
    helper = replace(PROCESS, is_loaded=False, libraries={}, problems=("no module named opentelemetry",))
    assert findings([PRICED], [PROCESS, helper]) == []
    (finding,) = findings([], [helper])
    assert "pip install otel-cost" in finding.do


def test_spans_that_came_show_that_otel_cost_was_loaded() -> None:
    """Of a process that a signal ended, nothing else is known."""
    assert findings([PRICED], []) == []


def test_an_app_without_a_known_sdk_is_told_which_libraries_are_watched() -> None:
    (finding,) = findings([], [replace(PROCESS, libraries={})])
    assert "loaded no SDK that is known" in finding.what
    assert "httpx" in finding.do


def test_what_only_the_process_knows_is_told_and_the_wrong_comes_first() -> None:
    process = replace(
        PROCESS,
        outside_http=("xAI's SDK speaks gRPC",),
        problems=("ImportError: no exporter",),
        stats={"failed.Exchange.chunk.KeyError": 3, "exchanges.httpx": 2},
    )
    found = findings([replace(PRICED, with_agent=0)], [process])
    assert [finding.is_wrong for finding in found] == [True, True, True, False]
    text = " ".join(finding.what for finding in found)
    for words in ("no exporter", "speaks gRPC", "Exchange.chunk.KeyError failed 3 times"):
        assert words in text
