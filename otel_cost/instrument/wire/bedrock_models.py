"""Bodies of `InvokeModel`: each maker of models has its own, this is the list of their shapes.

Source: Amazon Bedrock user guide, "Inference request parameters and response fields for foundation models".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from otel_cost.instrument.wire.bedrock_converse import usage_of as converse_usage
from otel_cost.instrument.wire.values import at, items, mapping, objects, put, text, whole
from otel_cost.pricing.units import CACHE_READ, INPUT, OUTPUT, REASONING

CHAT, COMPLETION, EMBEDDINGS = "chat", "text_completion", "embeddings"
IMAGE, IMAGE_EDIT, RERANK = "image_generation", "image_edit", "rerank"
RERANK_DOCUMENTS = 100
"""Documents that one search of a reranker covers; more are billed as more searches. Source: Amazon Bedrock pricing."""

_BY_NAME = (
    (re.compile(r"embed|marengo"), EMBEDDINGS),
    (re.compile(r"rerank"), RERANK),
    (re.compile(r"canvas|image|stability\.|stable-|(?:^|[.:/])sd3"), IMAGE),
)
_DRAWING = frozenset({"TEXT_IMAGE", "COLOR_GUIDED_GENERATION"})


class Told(NamedTuple):
    """What a body says."""

    usage: dict[str, int]
    finish_reasons: tuple[str, ...] = ()
    response_id: str | None = None
    response_model: str | None = None
    images: int | None = None


def operation_of(model: str | None, body: Any) -> str:
    """What a request does: by the model's name, else (an ARN, a profile) by the shape of its body."""
    said = mapping(body)
    name = (model or "").lower()
    found = next((operation for pattern, operation in _BY_NAME if pattern.search(name)), None)
    if found is None:
        found = _by_shape(said)
    if found == IMAGE:
        kind = said.get("taskType")
        is_edit = kind not in _DRAWING if isinstance(kind, str) else "image" in said or "init_image" in said
        return IMAGE_EDIT if is_edit else IMAGE
    return found


def _by_shape(said: Mapping[str, Any]) -> str:
    if "documents" in said and "query" in said:
        return RERANK
    if "messages" in said or "message" in said:
        return CHAT
    if "imageGenerationConfig" in said or "text_prompts" in said:
        return IMAGE
    if "texts" in said or ("inputText" in said and ("dimensions" in said or "normalize" in said)):
        return EMBEDDINGS
    if "singleEmbeddingParams" in said or "inputImage" in said or "embeddingConfig" in said:
        return EMBEDDINGS
    return COMPLETION


def searches_of(body: Any) -> int:
    """How many searches reranking the documents of a request is billed as."""
    return max(1, -(-len(items(at(body, "documents"))) // RERANK_DOCUMENTS))


def picture_context(body: Any) -> dict[str, str]:
    """Size and quality of the pictures that a request asks for."""
    config = mapping(at(body, "imageGenerationConfig")) or mapping(body)
    width, height, quality = whole(config.get("width")), whole(config.get("height")), text(config.get("quality"))
    size = {"size": f"{width}x{height}"} if width and height else {}
    return {**size, "quality": quality} if quality else size


def told_by(body: Mapping[str, Any]) -> Told:
    """What the body of an answer says, in whatever shape it comes; empty for an unknown one."""
    return next((told(body) for key, told in _SHAPES if key in body), Told({}))


def _units(given: object, made: object) -> dict[str, int]:
    usage: dict[str, int] = {}
    put(usage, INPUT, given)
    put(usage, OUTPUT, made)
    return usage


def _reasons(said: Sequence[Mapping[str, Any]], *keys: str) -> tuple[str, ...]:
    found = (next((text(item.get(key)) for key in keys if text(item.get(key))), None) for item in said)
    return tuple(reason for reason in found if reason)


def _nova(body: Mapping[str, Any]) -> Told:
    return Told(converse_usage(mapping(body.get("usage"))), _reasons([body], "stopReason"))


def _llama(body: Mapping[str, Any]) -> Told:
    usage = _units(body.get("prompt_token_count"), body.get("generation_token_count"))
    return Told(usage, _reasons([body], "stop_reason"))


def _titan(body: Mapping[str, Any]) -> Told:
    results = objects(body.get("results"))
    counts = [count for result in results if (count := whole(result.get("tokenCount"))) is not None]
    made = sum(counts) if counts else body.get("totalOutputTextTokenCount")
    usage = _units(body.get("inputTextTokenCount"), made)
    return Told(usage, _reasons(results or [body], "completionReason"))


def _openai(body: Mapping[str, Any]) -> Told:
    """Models behind servers that speak OpenAI's API: AI21's Jamba, DeepSeek, Mistral, Qwen, gpt-oss, imported ones."""
    reported = mapping(body.get("usage"))
    usage = _units(reported.get("prompt_tokens"), reported.get("completion_tokens"))
    put(usage, CACHE_READ, at(reported, "prompt_tokens_details", "cached_tokens"))
    put(usage, REASONING, at(reported, "completion_tokens_details", "reasoning_tokens"))
    reasons = _reasons(objects(body.get("choices")), "finish_reason", "stop_reason")
    return Told(usage, reasons, text(body.get("id")), text(body.get("model")))


def _generations(body: Mapping[str, Any]) -> Told:
    """Cohere's first Command models; AI21's first ones say `completions`."""
    billed = mapping(at(body, "meta", "billed_units"))
    usage = _units(billed.get("input_tokens"), billed.get("output_tokens"))
    reasons = _reasons(objects(body.get("generations")) or [body], "finish_reason")
    return Told(usage, reasons, text(body.get("id")) or text(body.get("response_id")))


def _jurassic(body: Mapping[str, Any]) -> Told:
    ends = [mapping(item.get("finishReason")) for item in objects(body.get("completions"))]
    return Told({}, _reasons(ends, "reason"), None if body.get("id") is None else str(body["id"])[:64])


def _mistral(body: Mapping[str, Any]) -> Told:
    return Told({}, _reasons(objects(body.get("outputs")), "stop_reason"))


def _images(body: Mapping[str, Any]) -> Told:
    reasons = tuple(reason for item in items(body.get("finish_reasons")) if (reason := text(item)))
    return Told({}, reasons, images=len(items(body.get("images"))))


def _artifacts(body: Mapping[str, Any]) -> Told:
    made = objects(body.get("artifacts"))
    return Told({}, _reasons(made, "finishReason"), images=len(made))


def _legacy_claude(body: Mapping[str, Any]) -> Told:
    return Told({}, _reasons([body], "stop_reason"), text(body.get("id")), text(body.get("model")))


def _pegasus(body: Mapping[str, Any]) -> Told:
    return Told({}, _reasons([body], "finishReason"))


_SHAPES: tuple[tuple[str, Callable[[Mapping[str, Any]], Told]], ...] = (
    ("artifacts", _artifacts),
    ("images", _images),
    ("choices", _openai),
    ("inputTextTokenCount", _titan),
    ("outputText", _titan),
    ("generation_token_count", _llama),
    ("prompt_token_count", _llama),
    ("stopReason", _nova),
    ("generations", _generations),
    ("completions", _jurassic),
    ("outputs", _mistral),
    ("completion", _legacy_claude),
    ("finishReason", _pegasus),
    ("finish_reason", _generations),
    ("embeddings", _generations),
    ("usage", _openai),
)
"""A key that only one shape of answer has, and who reads that shape."""
