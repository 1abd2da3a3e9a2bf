"""Names that nobody wrote down: what is found has the family and the version that the name says, or there is none."""

from __future__ import annotations

import random
import re
import string
from functools import cache

import pytest

from otel_cost.pricing import default_card
from otel_cost.pricing.match import resolve_name

FAMILIES = (
    "gpt", "claude", "gemini", "gemma", "grok", "deepseek", "mistral", "ministral", "mixtral", "codestral", "devstral",
    "magistral", "pixtral", "voxtral", "llama", "nova", "titan", "command", "kimi", "qwen", "glm", "sonar", "voyage",
    "whisper", "dall-e", "sora", "veo", "imagen", "phi", "nemotron", "minimax", "jamba", "granite", "yi", "falcon",
)  # fmt: skip
ALPHABET = string.ascii_lowercase + string.digits + "-.:@/_ [é\x00"
LABS = ("openai", "anthropic", "google", "aws", "azure", "mistral", "x-ai", "deepseek", "groq", "cohere")
PROVIDERS = (*LABS, "azure.ai.openai", "gcp.vertex_ai", "aws.bedrock", "openrouter", "litellm", "", "no such", None)


@cache
def known_names() -> tuple[tuple[str, str], ...]:
    """Every exact name of the card with its provider."""
    card = default_card()
    found = ((provider_id, card.provider(provider_id)) for provider_id in card.provider_ids)
    return tuple((provider_id, name) for provider_id, listed in found if listed for name in listed.names)


def families(text: str) -> set[str]:
    """The families that a name says, as whole words: `codestral` says nothing of `mistral`."""
    return {family for family in FAMILIES if re.search(rf"(?<![a-z]){re.escape(family)}(?![a-z])", text.lower())}


def mutated(rng: random.Random, name: str) -> str:
    """A name with one to four small accidents."""
    text = list(name)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.randint(0, 2)] = rng.choice(ALPHABET)
    return "".join(text)


def made_up(rng: random.Random) -> str:
    """A name of parts that look like names."""
    parts = [rng.choice((*FAMILIES, "pro", "mini", "large", "v2", "4", "4.5", "5-5", "2407", "latest", "20250101"))]
    parts += rng.choices((*FAMILIES, "flash", "turbo", "70b", "1", "3.1", "9", "preview"), k=rng.randint(0, 4))
    return rng.choice("-/.:_").join(parts)


def fuzz(seed: int, names: int) -> None:
    """Ask for many names. Nothing raises, and what is found has every family that the name says, and no other."""
    rng, card = random.Random(seed), default_card()
    known = known_names()
    for _ in range(names):
        provider, name = rng.choice(known)
        asked = made_up(rng) if rng.random() < 0.2 else mutated(rng, name)
        found = resolve_name(card, rng.choice((provider, rng.choice(PROVIDERS))), asked).model
        if found is None:
            continue
        said, is_of = families(asked.rpartition("/")[2]), families(" ".join(names_of(found.provider, found.model)))
        assert not is_of or said <= is_of, (asked, found.provider, found.model)


@cache
def names_of(provider_id: str, model: str) -> tuple[str, ...]:
    """What a model is called: its own name, and every exact name that it answers to."""
    card = default_card()
    listed = card.provider(provider_id)
    assert listed is not None
    return (model, *(name for name, entry in listed.names.items() if card.model(provider_id, entry).model == model))


def test_fuzzed_names_never_raise_and_never_leave_their_family() -> None:
    fuzz(11, 5_000)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_thousand_fuzzed_names_never_raise_and_never_leave_their_family() -> None:
    fuzz(12, 100_000)


def versions_beyond(name: str) -> list[str]:
    """Names of a later version that begin like a name: a digit more, a point version, a dashed one."""
    return [f"{name}9", f"{name}.9", f"{name}-9", f"{name}-9-9", f"{name}.9-preview", f"{name}-99"]


@pytest.mark.parametrize(
    "provider_id", ["openai", "anthropic", "google", "mistral", "x-ai", "deepseek", "aws", "azure"]
)
def test_no_match_crosses_a_version_digit(provider_id: str) -> None:
    """For every name that ends in a version: what continues the version is another model, or none."""
    card = default_card()
    listed = card.provider(provider_id)
    assert listed is not None
    crossed = []
    for name in listed.names:
        if not re.search(r"\d$", name) or re.search(r"20\d{2}-?\d{2}-?\d{2}$", name):
            continue
        own = resolve_name(card, provider_id, name).model
        for beyond in versions_beyond(name):
            found = resolve_name(card, provider_id, beyond)
            if found.model is not None and own is not None and found.model.model == own.model:
                crossed.append((name, beyond, found.reason))
    assert crossed == []
