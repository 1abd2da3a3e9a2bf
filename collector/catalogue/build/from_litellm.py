"""LiteLLM's price file as card data, for models that genai-prices does not know.

Only data is read, from a pruned copy that is kept beside this file (`python -m collector.catalogue.build.renew` renews
it). Its prices have no dates: they hold whenever the call was. Models whose prices are all zero are left out, because
the file says 0 both for "free" and for "not known".
"""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build.model import Model, Rates, Rounding, Row, rate_pico_usd

SOURCE = "litellm"
SNAPSHOT = Path(__file__).parent / "litellm_prices.json.gz"

PROVIDERS: dict[str, str] = {
    "openai": "openai", "text-completion-openai": "openai", "azure": "azure", "azure_ai": "azure",
    "azure_text": "azure", "anthropic": "anthropic", "gemini": "google", "bedrock": "aws", "bedrock_converse": "aws",
    "xai": "x-ai", "mistral": "mistral", "codestral": "mistral", "deepseek": "deepseek", "groq": "groq",
    "perplexity": "perplexity", "cohere": "cohere", "cohere_chat": "cohere", "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks", "together_ai": "together", "voyage": "voyageai",
    "moonshot": "moonshotai", "cerebras": "cerebras", "minimax": "minimax", "zai": "zai", "bigmodel": "zhipuai",
    "databricks": "databricks", "deepinfra": "deepinfra", "watsonx": "watsonx", "ai21": "ai21",
    "sambanova": "sambanova", "nebius": "nebius", "deepgram": "deepgram", "dashscope": "dashscope",
    "snowflake": "snowflake", "oci": "oci", "jina_ai": "jina_ai", "elevenlabs": "elevenlabs",
    "cloudflare": "cloudflare", "novita": "novita", "ovhcloud": "ovhcloud", "baseten": "baseten",
    "hyperbolic": "hyperbolic", "nscale": "nscale", "lambda_ai": "lambda_ai",
}  # fmt: skip
"""LiteLLM's provider -> ours. `vertex_ai*` is google as well."""

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
    "annotation_cost_per_page": "input_annotated_document_pages",
    "input_cost_per_request": "requests",
}
UNIT_OF_MODE_KEY: dict[tuple[str, str], str] = {
    ("rerank", "input_cost_per_query"): "rerank_searches",
    ("audio_transcription", "input_cost_per_second"): "audio_seconds",
    ("image_generation", "output_cost_per_image"): "output_images",
    ("video_generation", "output_cost_per_second"): "output_video_seconds",
}
VARIANT_SUFFIXES = {"_batches": "batch", "_flex": "flex", "_priority": "priority"}
_TIER = re.compile(r"_above_(\d+)k_tokens$")
_REGION_PREFIX = re.compile(r"^(us-gov|us|eu|apac|au|jp|in|ca|global)\.")
_SIZED = re.compile(r"\d+-x-\d+|max-x-max")


def snapshot() -> dict[str, Any]:
    """The pruned copy: `{"version", "sha256", "models": {name: entry}}`."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(SNAPSHOT.read_bytes()))
    return loaded


def provider_and_name(key: str, entry: dict[str, Any]) -> tuple[str, str] | None:
    """Our provider and the bare model name of an entry; None for what we do not take."""
    theirs = entry.get("litellm_provider", "")
    ours = "google" if theirs.startswith("vertex_ai") else PROVIDERS.get(theirs)
    if ours is None or _SIZED.search(key):
        return None
    name = key.lower()
    head, slash, rest = name.partition("/")
    if slash and head in (theirs, ours, "vertex_ai", "bedrock", "azure", "azure_ai", "fireworks_ai", "gemini"):
        name = rest
    if ours == "aws" and "/" in name:
        return None  # priced by region and commitment
    return ours, name


def usable_keys(entry: dict[str, Any]) -> dict[str, Any]:
    """What of an entry the conversion reads."""
    kept: dict[str, Any] = {key: entry[key] for key in ("litellm_provider", "mode") if key in entry}
    kept |= {key: value for key, value in entry.items() if _meaning(key, entry.get("mode", "")) and value is not None}
    return kept


def to_model(ours: str, name: str, entry: dict[str, Any], rounding: Rounding) -> Model | None:
    """An entry as a model with the exact name only; None if it has no price above zero."""
    by_variant: dict[str, dict[int, dict[str, Decimal]]] = {}
    for key, value in entry.items():
        meaning = _meaning(key, entry.get("mode", ""))
        if meaning is not None and _is_price(value):
            unit, variant, above = meaning
            if ours == "x-ai" and above > 0:
                above -= 1  # x.ai: the tier starts at the threshold, not above it
            by_variant.setdefault(variant, {}).setdefault(above, {})[unit] = Decimal(value)
    standard = by_variant.get("standard", {})
    if not any(value > 0 for tier in standard.values() for value in tier.values()):
        return None
    model = Model(name, SOURCE, names=[name])
    region = _REGION_PREFIX.match(name)
    model.region = region.group(1) if ours == "aws" and region else None
    for variant, own in by_variant.items():
        tiers = own if variant == "standard" else _over(standard, own)
        model.rows.append(Row(variant, None, None, _rates(f"{ours}/{name}", tiers, rounding)))
    return model


def _is_price(value: Any) -> bool:
    """Prices are kept as decimal text; dictionaries and flags of the same name are none."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _meaning(key: str, mode: str) -> tuple[str, str, int] | None:
    """A price key as (unit, variant, input above)."""
    variant, above = "standard", -1
    for suffix, named in VARIANT_SUFFIXES.items():
        if key.endswith(suffix):
            key, variant = key.removesuffix(suffix), named
    if tier := _TIER.search(key):
        key, above = key[: tier.start()], int(tier.group(1)) * 1000
    unit = UNIT_OF_KEY.get(key) or UNIT_OF_MODE_KEY.get((mode, key))
    return (unit, variant, above) if unit else None


def _over(standard: dict[int, dict[str, Decimal]], own: dict[int, dict[str, Decimal]]) -> dict[int, dict[str, Decimal]]:
    """A variant's tiers with the standard rates under them, where the variant has none at any size."""
    units = {unit for tier in own.values() for unit in tier}
    under = {above: {u: v for u, v in tier.items() if u not in units} for above, tier in standard.items()}
    return {above: under.get(above, {}) | own.get(above, {}) for above in sorted(under.keys() | own.keys())}


def _rates(where: str, tiers: dict[int, dict[str, Decimal]], rounding: Rounding) -> list[tuple[int, Rates]]:
    """Each tier with all its rates: what it does not say is that of the tier below."""
    result: list[tuple[int, Rates]] = []
    current: dict[str, Decimal] = {}
    for above in sorted(tiers):
        current = current | tiers[above]
        rates = {unit: rate_pico_usd(where, unit, current[unit], 1, rounding) for unit in sorted(current)}
        result.append((above, rates))
    if result and result[0][0] != -1:
        result[0] = (-1, result[0][1])
    return result
