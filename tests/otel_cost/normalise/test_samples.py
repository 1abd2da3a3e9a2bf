"""Recorded traces, span by span: what each says of itself. (That calls are counted once is attribution's part.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.otel_cost.normalise.samples import SAMPLES, expected_of, sample_spans
from tests.strategies import normalised

USAGE = {
    "input_tokens_total": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_creation": "cache_write_tokens",
    "reasoning": "output_reasoning_tokens",
    "audio_in": "input_audio_tokens",
    "audio_out": "output_audio_tokens",
}
SAID_BY_THE_OTHER_SPAN = {("composed_two_instrumentations_one_process", "cache_read_tokens")}
SAID_BY_THE_OTHER_SPAN |= {("composed_two_instrumentations_one_process", "output_reasoning_tokens")}
WRAPPERS_ALONE = {"vercel_generatetext_root_only", "vercel_v4_prompt_tokens"}


def _check(call: Any, expected: dict[str, Any], sample: str) -> None:
    assert call.kind == ("aggregate" if sample in WRAPPERS_ALONE else "leaf")
    assert call.operation == expected["operation"]
    assert call.provider in (expected["provider"], *expected.get("accept_provider", ()))
    assert (call.response_model or call.request_model) == expected["model"]
    if "response_id" in expected:
        assert call.response_id == expected["response_id"]
    for name, unit in USAGE.items():
        if name in expected and (sample, unit) not in SAID_BY_THE_OTHER_SPAN:
            assert call.usage.get(unit) == expected[name], unit


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_span_of_a_sample(path: Path) -> None:
    """Calls have the expected fields; spans that are not counted are no calls with usage of their own scope."""
    expectations = expected_of(path)
    wanted = {row["span_id"]: row for row in expectations["llm_calls"]}
    costs = expectations.get("expected_reported_cost_usd")
    for span_id, span in sample_spans(path):
        call = normalised(span)
        if span_id in wanted:
            accepted = {"accept_provider": expectations.get("accept_provider", ())}
            _check(call, wanted[span_id] | accepted, path.stem)
            if costs is not None:
                assert call is not None
                assert call.reported_cost_pico_usd == round(costs * 10**12)
        elif not expectations["not_counted"]:
            assert call is None
