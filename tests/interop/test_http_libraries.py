"""HTTP libraries on top of each other, beside OpenTelemetry's instrumentations of them: each call is seen once."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from examples.replay import ReplayServer, load_exchange
from tests.interop.cases import HERE
from tests.interop.environments import ROOT, environment

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

RECORDED = (
    "examples/demo/exchanges/openai/chat_cache_read_4o.json",
    "tests/testdata/exchanges/bedrock/converse_basic.json",
    "tests/testdata/exchanges/bedrock/converse_stream_cache_read.json",
    "tests/testdata/exchanges/gemini/generate_basic.json",
)
OURS = "otel_cost.instrument"
WITH_HTTP_SPANS = (  # ways whose HTTP library one of the others instruments, by a client that it reaches
    "by_requests",
    "by_aiohttp",
    "by_httpx_over_aiohttp",
    "by_litellm_async",
    "by_boto3",
    "by_aiobotocore",
    "by_aiobotocore_streamed",
)


@pytest.fixture(scope="module", params=["first", "last"])
def told(request: pytest.FixtureRequest) -> dict[str, list[dict[str, Any]]]:
    """Way -> the spans that it made, where we were switched on before or after the others."""
    folder = environment("http_libraries", HERE / "http_libraries" / "requirements.txt")
    recorded = [load_exchange(ROOT / path) for path in RECORDED]
    as_sent = [replace(each, path=each.path.replace("v1:0", "v1%3A0")) for each in recorded]  # botocore quotes it
    with ReplayServer(as_sent) as replay:
        done = subprocess.run(
            [str(folder / "python"), str(HERE / "apps" / "http_libraries_app.py"), request.param],
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/tmp"),
                "OPENAI_BASE_URL": f"{replay.url}/v1",
                "OPENAI_API_KEY": "none",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"way"')]
    return {line["way"]: line["spans"] for line in lines}


def test_each_call_is_one_span_of_ours_with_its_usage(told: dict[str, list[dict[str, Any]]]) -> None:
    assert set(WITH_HTTP_SPANS) < set(told)
    for way, spans in told.items():
        (ours,) = [span for span in spans if span["scope"] == OURS]
        assert ours["parent"] is None, way
        assert ours["attributes"]["gen_ai.usage.output_tokens"] > 0, way


def test_http_spans_of_others_are_its_children(told: dict[str, list[dict[str, Any]]]) -> None:
    for way in WITH_HTTP_SPANS:
        (ours,) = [span for span in told[way] if span["scope"] == OURS]
        others = [span for span in told[way] if span["scope"] != OURS]
        assert others, way
        family = {ours["id"], *(span["id"] for span in others)}
        assert all(span["parent"] in family for span in others), way
