"""mlflow tracing: every value is JSON text, usage and cost are objects. Source: mlflow-tracing 3.17.2."""

from __future__ import annotations

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import (
    COST,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_MODEL,
    SERVICE_TIER,
)
from otel_cost.normalise.rules import SPAN_NAME, Dialect, Source, aggregate, counts, inside, is_in, leaf, texts

USAGE_KEY = k.MLFLOW_TOKEN_USAGE

MLFLOW = Dialect(
    name="mlflow",
    rank=7,
    scope_prefixes=("mlflow",),
    markers=(k.MLFLOW_SPAN_TYPE,),
    rules=(
        leaf(is_in(k.MLFLOW_SPAN_TYPE, "llm", "chat_model"), operation="chat"),
        leaf(is_in(k.MLFLOW_SPAN_TYPE, "embedding"), operation="embeddings"),
        leaf(is_in(k.MLFLOW_SPAN_TYPE, "reranker"), operation="rerank"),
        aggregate(is_in(k.MLFLOW_SPAN_TYPE, "agent"), operation="invoke_agent", agent=(k.GEN_AI_AGENT_NAME, SPAN_NAME)),
        aggregate(is_in(k.MLFLOW_SPAN_TYPE, "tool"), operation="execute_tool"),
        aggregate(is_in(k.MLFLOW_SPAN_TYPE, "retriever"), operation="retrieval"),
    ),
    provider=(*texts(k.MLFLOW_LLM_PROVIDER, transform="provider"), *PROVIDER),
    request_model=(*texts(k.MLFLOW_LLM_MODEL, transform="model"), *REQUEST_MODEL),
    response_model=RESPONSE_MODEL,
    response_id=RESPONSE_ID,
    service_tier=SERVICE_TIER,
    blobs={USAGE_KEY: "json_object", k.MLFLOW_LLM_COST: "json_object"},
    usage={
        "input_tokens": counts(*inside(USAGE_KEY, "input_tokens"), k.GEN_AI_USAGE_INPUT_TOKENS),
        "output_tokens": counts(*inside(USAGE_KEY, "output_tokens"), k.GEN_AI_USAGE_OUTPUT_TOKENS),
        "cache_read_tokens": counts(*inside(USAGE_KEY, "cache_read_input_tokens")),
        "cache_write_tokens": counts(*inside(USAGE_KEY, "cache_creation_input_tokens")),
        "cache_write_1h_tokens": counts(*inside(USAGE_KEY, "cache_creation_input_tokens_above_1hr")),
        "total_tokens": counts(*inside(USAGE_KEY, "total_tokens")),
    },
    cost=(*(Source(key, "usd") for key in inside(k.MLFLOW_LLM_COST, "total_cost")), *COST),
)
