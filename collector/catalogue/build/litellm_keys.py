"""What the keys of LiteLLM's price file mean: providers, units, variants, input-size tiers, picture sizes."""

from __future__ import annotations

import re
from typing import NamedTuple

PROVIDERS: dict[str, str] = {
    "text-completion-openai": "openai", "azure_ai": "azure", "azure_text": "azure", "gemini": "google",
    "bedrock": "aws", "bedrock_converse": "aws", "bedrock_mantle": "aws", "amazon_nova": "aws", "sagemaker": "aws",
    "xai": "x-ai", "codestral": "mistral", "text-completion-codestral": "mistral", "cohere_chat": "cohere",
    "fireworks_ai": "fireworks", "fireworks_ai-embedding-models": "fireworks", "together_ai": "together",
    "voyage": "voyageai", "moonshot": "moonshotai", "bigmodel": "zhipuai", "github_copilot": "github-copilot",
    "meta_llama": "meta",
}  # fmt: skip
"""LiteLLM's provider -> ours, where the names differ; `vertex_ai*` is google."""

NOT_TAKEN = frozenset({"openrouter", "ollama", "chatgpt", "lemonade", "gigachat", "heroku"})
"""Providers whose entries there say nothing that could be billed by use, or that we take from elsewhere."""

UNIT_OF_KEY: dict[str, str] = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "cache_read_input_audio_token_cost": "cache_audio_read_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "cache_read_input_image_token_cost": "cache_image_read_tokens",
    "input_cost_per_video_token": "input_video_tokens",
    "output_cost_per_video_token": "output_video_tokens",
    "output_cost_per_reasoning_token": "output_reasoning_tokens",
    "citation_cost_per_token": "output_citation_tokens",
    "input_cost_per_character": "input_characters",
    "ocr_cost_per_page": "input_document_pages",
    "ocr_cost_per_credit": "input_document_pages",
    "annotation_cost_per_page": "input_annotated_document_pages",
    "input_cost_per_request": "requests",
    "input_cost_per_text_message": "input_text_messages",
    "google_maps_grounding_cost_per_query": "map_searches",
    "code_interpreter_cost_per_session": "code_interpreter_sessions",
    "input_cost_per_pixel": "input_pixels",
    "output_cost_per_video_per_second": "output_video_seconds",
}
UNIT_OF_MODE_KEY: dict[tuple[str, str], str] = {
    ("rerank", "input_cost_per_query"): "rerank_searches",
    ("search", "input_cost_per_query"): "web_searches",
    ("vector_store", "input_cost_per_query"): "storage_searches",
    ("audio_transcription", "input_cost_per_second"): "audio_seconds",
    ("realtime", "input_cost_per_second"): "audio_seconds",
    ("image_generation", "output_cost_per_image"): "output_images",
    ("image_edit", "output_cost_per_image"): "output_images",
    ("video_generation", "output_cost_per_second"): "output_video_seconds",
}
SEARCH_FEES = "search_context_cost_per_query"
TIERED = "tiered_pricing"
UPLIFTS: dict[str, str] = {
    "regional_processing_uplift_multiplier_eu": "eu",
    "regional_processing_uplift_multiplier_us": "us",
    "regional_endpoint_uplift_multiplier": "*",
}
"""Key -> the place whose calls cost that many times as much; `*` is every place but `global`."""
PROVIDER_SPECIFIC = "provider_specific_entry"
VARIANT_SUFFIXES = {"_batches": "batch", "_flex": "flex", "_priority": "priority", "_ultrafast": "ultrafast"}

_TIER = re.compile(r"_above_(\d+)k_tokens$")
_RESOLUTION = re.compile(r"^output_cost_per_second_(\d+[pk])$")
_PICTURE = re.compile(r"^output_cost_per_image_(\d\.?\d*K|\d+)$")
_SIZED_NAME = re.compile(
    r"^(?:(?P<quality>low|medium|high|standard|hd)/)?(?P<width>\d+|max)-x-(?P<height>\d+|max)/(?P<rest>.+)$"
)


class Meaning(NamedTuple):
    """What a price key prices."""

    unit: str
    variant: str
    input_above: int


class SizedName(NamedTuple):
    """`low/1024-x-1536/gpt-image-1` taken apart: a price of one size and quality of a model's pictures."""

    model: str
    qualifier: str  # as in the card: 1024x1536_low


def meaning(key: str, mode: str) -> Meaning | None:
    """A price key taken apart; None for one that prices nothing that we count."""
    variant, above = "standard", -1
    for suffix, named in VARIANT_SUFFIXES.items():
        if key.endswith(suffix):
            key, variant = key.removesuffix(suffix), named
    if tier := _TIER.search(key):
        key, above = key[: tier.start()], int(tier.group(1)) * 1000
    unit = UNIT_OF_KEY.get(key) or UNIT_OF_MODE_KEY.get((mode, key))
    if unit is None and mode == "video_generation" and (resolution := _RESOLUTION.match(key)):
        unit = f"output_video_seconds_{resolution.group(1)}"
    if unit is None and mode == "image_generation" and (size := _PICTURE.match(key)):
        unit = f"output_images_{size.group(1).lower()}"
    return Meaning(unit, variant, above) if unit else None


def sized_name(name: str) -> SizedName | None:
    """A name that carries the size of a picture, taken apart; None for a plain one."""
    found = _SIZED_NAME.match(name)
    if found is None or "max" in (found["width"], found["height"]) or "/" in found["rest"]:
        return None
    quality = f"_{found['quality']}" if found["quality"] else ""
    return SizedName(found["rest"], f"{found['width']}x{found['height']}{quality}")
