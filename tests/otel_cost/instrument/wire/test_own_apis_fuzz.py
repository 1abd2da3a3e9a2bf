"""Whatever comes from APIs of Google and others, no reader raises."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.types import Head, Request
from tests.otel_cost.instrument.wire.answered import GEMINI, sse

URLS = (
    *(("POST", f"{GEMINI}/models/m:{action}") for action in ("generateContent", "streamGenerateContent?alt=sse")),
    *(("POST", f"{GEMINI}/models/{model}:predict") for model in ("imagen-4", "text-embedding-004", "chat-bison")),
    *(
        ("POST", f"{GEMINI}/models/m:{action}")
        for action in ("batchEmbedContents", "batchGenerateContent", "countTokens")
    ),
    ("POST", f"{GEMINI}/models/veo-3:predictLongRunning"),
    ("POST", f"{GEMINI}/interactions"),
    ("POST", f"{GEMINI}/cachedContents"),
    ("GET", f"{GEMINI}/interactions/i"),
    ("GET", f"{GEMINI}/batches/b"),
    ("GET", f"{GEMINI}/files/b:download"),
    ("GET", f"{GEMINI}/operations/o"),
    *(("POST", f"https://api.cohere.com/v2/{action}") for action in ("chat", "embed", "rerank")),
    *(("POST", f"http://localhost:11434/api/{action}") for action in ("chat", "generate", "embed")),
    *(("POST", f"https://api.mistral.ai/v1/{action}") for action in ("ocr", "audio/transcriptions", "audio/speech")),
    *(
        ("POST", f"https://api.mistral.ai/v1/{action}")
        for action in ("conversations", "agents/completions", "batch/jobs")
    ),
    ("GET", "https://api.mistral.ai/v1/batch/jobs/b"),
    ("POST", "https://api.voyageai.com/v1/embeddings"),
    ("POST", "https://openrouter.ai/api/v1/rerank"),
    ("POST", "https://api.x.ai/v1/stt"),
    ("POST", "https://api.replicate.com/v1/predictions"),
    ("GET", "https://api.replicate.com/v1/predictions/p"),
    ("POST", "https://api.elevenlabs.io/v1/text-to-speech/v"),
    ("POST", "https://api.deepgram.com/v1/listen"),
    ("GET", "https://api.assemblyai.com/v2/transcript/t"),
    ("POST", "https://us-south.ml.cloud.ibm.com/ml/v1/text/generation_stream"),
    ("POST", "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat"),
    ("POST", "http://localhost:8080/generate_stream"),
)
KEYS = st.sampled_from(
    [
        *("candidates", "content", "parts", "inlineData", "mimeType", "usageMetadata", "promptTokenCount", "error"),
        *("promptTokensDetails", "modality", "tokenCount", "groundingMetadata", "webSearchQueries", "groundingChunks"),
        *("finishReason", "trafficType", "interaction", "usage", "steps", "delta", "metadata", "response", "output"),
        *("inlinedResponses", "predictions", "embeddings", "statistics", "instances", "parameters", "durationSeconds"),
        *(
            "billed_units",
            "tokens",
            "meta",
            "generations",
            "connectors",
            "outputs",
            "body",
            "status",
            "metrics",
            "details",
        ),
        *("results", "choices", "message", "model", "id", "name", "stream", "words", "end", "inputs", "text", "errors"),
        *("prompt_tokens_details", "prompt_audio_seconds", "usage_info", "grounding_tool_count", "count", "type"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS | st.just("image/png")
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
KINDS = st.sampled_from(["application/json", "text/event-stream", "application/x-ndjson", "audio/mpeg", ""])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(URLS), JSON, st.lists(JSON, max_size=4), KINDS, st.sampled_from([200, 400]))
def test_no_json_makes_a_reader_raise(
    where: tuple[str, str], body: object, values: list[object], kind: str, status: int
) -> None:
    """Also of the request, and also where what is said is asked for."""
    request = {**body, "inputs": "", "parameters": 0, "model": "m"} if isinstance(body, dict) else body
    found = asked(Request(where[0], where[1], {}, json.dumps(request).encode() if where[0] == "POST" else None))
    if found is None:
        return
    answers = (sse(*values).encode(), json.dumps(values).encode(), json.dumps(values[0] if values else body).encode())
    for answer in answers:
        reader = body_reader(found, Head(status, {"content-type": kind}))
        reader.feed(answer)
        reader.end()
        reading = reader.reading()
        assert all(type(count) is int and count >= 0 for count in reading.usage.values())
        if reading.said is not None:
            reading.said()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(URLS), st.lists(st.binary(max_size=60), max_size=5), KINDS)
def test_no_bytes_make_a_reader_raise(where: tuple[str, str], chunks: list[bytes], kind: str) -> None:
    found = asked(Request(where[0], where[1], {}, b'{"model": "m", "inputs": "", "parameters": {}}'))
    assert found is not None
    reader = body_reader(found, Head(200, {"content-type": kind}))
    for chunk in chunks:
        reader.feed(chunk)
        reader.reading()
    reader.end()
    assert reader.reading().said is None or reader.reading().provider
