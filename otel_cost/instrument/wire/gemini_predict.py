"""Vertex AI's and Gemini's `predict`: Imagen, Veo, text and multimodal embeddings, and the models before Gemini.

Sources: the model references of Vertex AI ("Imagen API", "Veo API", "Text embeddings API") and of the Gemini API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import MAX_PARSED_BYTES, json_body
from otel_cost.instrument.wire.gemini import GOOGLE, error_of, failed
from otel_cost.instrument.wire.google_url import place_of, provider_at
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import items, mapping, micros, objects, text, whole
from otel_cost.normalise.vocabulary import GEMINI
from otel_cost.pricing.units import MICRO

DEFAULT_VIDEO_SECONDS = 8
"""Length of a Veo video whose request says none (Veo API, `durationSeconds`)."""

_IMAGES = re.compile(r"imagen|imagegeneration|virtual-try-on|imagetext|image-product|capability")
_VIDEOS = re.compile(r"veo")
_EMBEDDINGS = re.compile(r"embed")
_BY_CHARACTERS = re.compile(r"(?:text|textembedding|multimodal)")
_PARAMETER = re.compile(
    rb'"(durationSeconds|sampleCount|numberOfVideos|resolution|sampleImageSize)"\s*:\s*("[^"\\]{1,32}"|[0-9]{1,9})'
)
_TEXT = frozenset({"content", "prompt", "text", "messages"})
_EDIT_KEYS = ("referenceImages", "image", "mask")


def _operation(model: str | None, body: object) -> str:
    name = (model or "").lower()
    instance = mapping(next(iter(objects(mapping(body).get("instances"))), None))
    if _VIDEOS.search(name):
        return "video_generation"
    if _IMAGES.search(name):
        return "image_edit" if any(key in instance for key in _EDIT_KEYS) else "image_generation"
    is_embedding = _EMBEDDINGS.search(name) or ("content" in instance and "prompt" not in instance)
    return "embeddings" if is_embedding else "text_completion"


def _parameters(body: object, sent: bytes | None) -> Mapping[str, Any]:
    """The `parameters` of a request. One with a picture is too large to parse: then they are looked for."""
    said = mapping(mapping(body).get("parameters"))
    if said or sent is None or len(sent) <= MAX_PARSED_BYTES:
        return said
    found = {match[1].decode(): answers.json_or_none(match[2]) for match in _PARAMETER.finditer(sent)}
    return {name: value for name, value in found.items() if value is not None}


def _ask(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    body = json_body(request)
    parameters = _parameters(body, request.body)
    if parameters and isinstance(body, dict):
        body = {**body, "parameters": parameters}
    context = dict(place.context)
    size = text(parameters.get("resolution")) or text(parameters.get("sampleImageSize"))
    is_video = place.action == "predictLongRunning"
    if size is not None:
        context["resolution" if is_video else "size"] = size.lower()
    operation = "video_generation" if is_video else _operation(place.model, body)
    return Asked(API, provider_at(place, provider), operation, request, model=place.model, body=body, context=context)


def _video(asked: Asked, said: Mapping[str, Any]) -> Reading:
    """A video is billed by its length, once it is made: what was ordered is told when the job is accepted."""
    parameters = mapping(mapping(asked.body).get("parameters"))
    seconds = micros(parameters.get("durationSeconds")) or DEFAULT_VIDEO_SECONDS * MICRO
    videos = whole(parameters.get("sampleCount")) or whole(parameters.get("numberOfVideos")) or 1
    return answers.answer(asked)._replace(
        response_id=text(said.get("name")),
        usage={"output_video_seconds": seconds * videos},
        status="queued",
        extra={"usage_reported": False},
    )


def _images(asked: Asked, predictions: list[Mapping[str, Any]]) -> Reading:
    made = [each for each in predictions if "bytesBase64Encoded" in each or "gcsUri" in each]
    kinds = [text(each.get("mimeType")) or "image/png" for each in made]
    count = sum(kind.startswith("image/") for kind in kinds)
    return answers.answer(asked)._replace(
        images=count or None, usage={"output_images": count} if count else {}, extra={"usage_reported": False}
    )


def _embeddings(asked: Asked, said: Mapping[str, Any], predictions: list[Mapping[str, Any]]) -> Reading:
    counts = [
        whole(mapping(mapping(each.get("embeddings")).get("statistics")).get("token_count")) for each in predictions
    ]
    known = [count for count in counts if count is not None]
    usage = {"input_tokens": sum(known)} if known else {}
    characters = whole(mapping(said.get("metadata")).get("billableCharacterCount"))
    by_characters = characters is not None and _BY_CHARACTERS.match(asked.model or "")
    parts = (Part(asked.model, {"input_characters": characters or 0}, context=asked.context),) if by_characters else ()
    return answers.answer(asked)._replace(
        usage=usage, parts=parts, said=None if usage else answers.says(asked.request, _TEXT, list)
    )


def _texts(asked: Asked, said: Mapping[str, Any]) -> Reading:
    """PaLM's models: `tokenMetadata`, where they say it."""
    counts = mapping(mapping(said.get("metadata")).get("tokenMetadata"))
    usage: dict[str, int] = {}
    for unit, key in (("input_tokens", "inputTokenCount"), ("output_tokens", "outputTokenCount")):
        count = whole(mapping(counts.get(key)).get("totalTokens"))
        if count is not None:
            usage[unit] = count
    said_texts = answers.says(asked.request, _TEXT, lambda: answers.texts_in(said.get("predictions"), _TEXT))
    return answers.answer(asked)._replace(usage=usage, said=None if usage else said_texts)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400 or error_of(body):
        return failed(asked, head, body)
    said = mapping(body)
    predictions = objects(said.get("predictions"))
    if asked.operation == "video_generation":
        return _video(asked, said)
    if asked.operation in ("image_generation", "image_edit") or any("bytesBase64Encoded" in p for p in predictions):
        return _images(asked, predictions)
    return _embeddings(asked, said, predictions) if asked.operation == "embeddings" else _texts(asked, said)


def _ask_job(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    return Asked(JOBS, provider_at(place, provider), None, request, model=place.model, context=place.context)


def _job(asked: Asked, head: Head, body: Any) -> Reading:
    """A poll of a long-running operation: the call that ordered it was counted."""
    if head.status >= 400:
        return failed(asked, head, body)
    said = mapping(body)
    error = mapping(said.get("error"))
    status = "failed" if error else "completed" if said.get("done") is True else "in_progress"
    videos = mapping(mapping(said.get("response")).get("generateVideoResponse")).get("generatedSamples")
    extra = {"videos": len(items(videos))} if videos else {}
    return answers.bookkeeping(asked)._replace(response_id=text(said.get("name")), status=status, extra=extra)


API = Api("gemini.predict", _ask, _whole, answers.NoEvents)
JOBS = Api("gemini.operations", _ask_job, _job, answers.NoEvents)

ROUTES = (
    *(
        Route(f"{{model}}:{action}", API, providers=GOOGLE, provider=GEMINI)
        for action in ("predict", "predictLongRunning")
    ),
    Route("{model}:fetchPredictOperation", JOBS, providers=GOOGLE, provider=GEMINI),
    Route("operations/{id}", JOBS, methods=("GET",), providers=GOOGLE, provider=GEMINI),
)
