"""The short way makes of every span what the long way makes of it, or leaves it alone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest

from otel_cost.enrich import Enricher
from otel_cost.instrument.span_attributes import asked_attributes, own_attributes
from otel_cost.instrument.wire.openai_chat import CHAT as API
from otel_cost.instrument.wire.types import Asked, Reading, Request
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from otel_cost.pricing import default_card
from otel_cost.recent import Recent
from otel_cost.shortcut import MAX_NAMES_PER_SHAPE, Shortcuts

START_NS = 1_790_000_000_000_000_000
SCOPES = (
    "opentelemetry.instrumentation.genai.openai",
    "opentelemetry.instrumentation.openai.v1",
    "openinference.instrumentation.openai",
    "com.anthropic.sdk.python",
    "opentelemetry.instrumentation.botocore.bedrock-runtime",
    "opentelemetry.instrumentation.genai.bedrock",
    "ai",
    "pydantic-ai",
    "logfire.openai",
    "litellm",
    "openlit.otel.tracing",
    "opentelemetry.instrumentation.anthropic",
    "my.own.scope",
)
MODELS = (
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-5"),
    ("openai", "text-embedding-3-small"),
    ("openai", "gpt-4o-audio-preview"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-1"),
    ("google", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("nobody", "no-such-model"),
)
GEN_AI = {
    "gen_ai.usage.input_tokens": 0.95,
    "gen_ai.usage.output_tokens": 0.9,
    "gen_ai.usage.cache_read.input_tokens": 0.4,
    "gen_ai.usage.cache_creation.input_tokens": 0.1,
    "gen_ai.usage.reasoning.output_tokens": 0.3,
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 0.1,
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 0.1,
    "gen_ai.usage.total_tokens": 0.2,
    "operation.cost": 0.1,
    "gen_ai.usage.cost": 0.1,
    "gen_ai.usage.cost.currency": 0.03,
}
OPENINFERENCE = {
    "openinference.span.kind": 0.9,
    "llm.token_count.prompt": 0.95,
    "llm.token_count.completion": 0.9,
    "llm.token_count.prompt_details.cache_read": 0.4,
    "llm.token_count.prompt_details.cache_write": 0.2,
    "llm.token_count.prompt_details.audio": 0.4,
    "llm.token_count.completion_details.audio": 0.4,
    "llm.token_count.total": 0.4,
}
FIRST_GENERATION = {
    "gen_ai.system": 0.9,
    "llm.request.type": 0.9,
    "gen_ai.usage.prompt_tokens": 0.95,
    "gen_ai.usage.completion_tokens": 0.95,
    "gen_ai.usage.cache_read_input_tokens": 0.4,
    "gen_ai.usage.cache_creation_input_tokens": 0.3,
    "llm.usage.total_tokens": 0.6,
}
COUNTS = {*GEN_AI, *OPENINFERENCE, *FIRST_GENERATION} - {
    *("openinference.span.kind", "gen_ai.system", "llm.request.type", "gen_ai.usage.cost.currency"),
}
WHOLES = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "prompt", "completion")
SMALL = ("cache", "reasoning", "cost")  # parts, which are mostly smaller than their wholes
ODD: tuple[object, ...] = (-1, 0, True, 1.5, 12.0, "12", "", None, (1, 2), 2**40, 2**40 + 1, 2**70)


def _shapes(chance: random.Random) -> list[Mapping[str, object]]:
    """Spans without names and counts: a few dozen shapes, as apps have."""
    shapes: list[Mapping[str, object]] = []
    for _ in range(60):
        attributes: dict[str, object] = {
            "gen_ai.operation.name": chance.choice(("chat", "chat", "chat", "embeddings", "invoke_agent")),
            "gen_ai.provider.name": "",
            "gen_ai.request.model": "",
        }
        optional = {
            "gen_ai.response.model": "",
            "openai.response.service_tier": chance.choice(("default", "flex", "priority", "auto")),
            "llm.model_name": "",
            "server.address": chance.choice(("api.openai.com", "x.openai.azure.com")),
            "error.type": "timeout",
            "litellm.cache_hit": "true",
            "logfire.span_type": "span",
        }
        attributes |= {key: value for key, value in optional.items() if chance.random() < 0.2}
        choices = ((GEN_AI,), (GEN_AI,), (OPENINFERENCE,), (FIRST_GENERATION,), (GEN_AI, OPENINFERENCE))
        for vocabulary in chance.choice(choices):
            attributes |= dict.fromkeys((key for key, share in vocabulary.items() if chance.random() < share), 0)
        attributes |= {key: "chat" for key in ("llm.request.type",) if key in attributes}
        if "openinference.span.kind" in attributes:
            attributes["openinference.span.kind"] = chance.choice(("LLM", "LLM", "CHAIN"))
        if chance.random() < 0.7:
            attributes["gen_ai.response.id"] = ""
        shapes.append(attributes)
    return shapes


def _filled(shape: Mapping[str, object], number: int, chance: random.Random) -> dict[str, object]:
    """A span of the shape with names and counts, mostly plausible, sometimes odd."""
    provider, model = chance.choice(MODELS)
    attributes = dict(shape)
    for key in attributes:
        if key in ("gen_ai.provider.name", "gen_ai.system"):
            attributes[key] = provider
        elif "model" in key:
            attributes[key] = model
        if key in COUNTS:
            small = chance.randrange(chance.choice((2, 50, 3_000)))
            large = chance.randrange(chance.choice((50, 5_000, 400_000)))
            plain = small if any(word in key for word in SMALL) else large
            plain = 0 if "audio" in key and chance.random() < 0.9 else plain
            attributes[key] = chance.choice(ODD) if chance.random() < 0.02 else plain
    counted = {key: value for key, value in attributes.items() if key in COUNTS and type(value) is int}
    whole = sum(value for key, value in counted.items() if key.endswith(WHOLES) and not _is_part(key))
    parts = sum(value for key, value in counted.items() if "cache" in key)
    for key in attributes:
        if "total" in key and chance.random() < 0.8:
            attributes[key] = whole + chance.choice((0, 0, parts))
    if "gen_ai.response.id" in attributes:
        attributes["gen_ai.response.id"] = chance.choice((f"r-{number}", f"r-{number}", f"r-{number}", "", '"x"', 7))
    return attributes


def _is_part(key: str) -> bool:
    return any(word in key for word in (*SMALL, "details"))


def _enrich(enricher: Enricher, number: int, scope: str, kind: int, at_ns: int, said: Mapping[str, object]) -> object:
    return enricher.enrich(
        said,
        trace_id=number,
        span_id=number,
        parent_id=None,
        scope_name=scope,
        span_name=f"chat {said['gen_ai.request.model']}",
        span_kind=kind,
        status_code=0,
        start_time_ns=at_ns,
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_short_way_and_the_long_way_agree(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Spans of 60 shapes, plain and odd: the same attributes with and without what was learned; many go short."""
    chance = random.Random(seed)
    short, long = Enricher(), Enricher()
    monkeypatch.setattr(long._shortcuts, "_recipes", _Never())
    taken = 0
    shapes = [(shape, chance.choice(SCOPES), chance.choice((1, 3, 3))) for shape in _shapes(chance)]
    for number in range(4_000):
        shape, scope, kind = chance.choice(shapes)
        said = _filled(shape, number, chance)
        at_ns = START_NS - chance.choice((0, 0, 10**15, 5 * 10**16, 2 * 10**17))
        expected = _enrich(long, number, scope, kind, at_ns, said)
        taken += (
            short._shortcuts.price((scope, kind, 0, tuple(said)), f"chat {said['gen_ai.request.model']}", at_ns, said)
            is not None
        )
        assert _enrich(short, number, scope, kind, at_ns, said) == expected, said
    assert taken > 500


@pytest.mark.parametrize(
    ("scope", "provider"),
    [
        ("opentelemetry.instrumentation.genai.anthropic", "anthropic"),
        ("opentelemetry.instrumentation.genai.bedrock", "aws.bedrock"),
        ("opentelemetry.instrumentation.google_generativeai", "google"),
        ("openlit.otel.tracing", "anthropic"),
        ("opentelemetry.instrumentation.openai.v1", "x_ai"),
    ],
)
def test_the_ways_agree_however_parts_wholes_and_totals_relate(
    monkeypatch: pytest.MonkeyPatch, scope: str, provider: str
) -> None:
    """Every relation of small counts, totals of every reading among them, and every counting of the input."""
    short, long = Enricher(), Enricher()
    monkeypatch.setattr(long._shortcuts, "_recipes", _Never())
    taken = 0
    grid = itertools.product((0, 5, 10), (0, 4), (0, 3, 8), (None, 0, 3), (0, 3, 4), range(5))
    for number, (entered, output, read, written, reasoning, reading) in enumerate(grid):
        parts = read + (written or 0)
        totals = (None, entered + output, entered + output + parts, entered + output + reasoning, 99)
        counts = {
            "gen_ai.usage.input_tokens": entered,
            "gen_ai.usage.output_tokens": output,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_creation.input_tokens": written,
            "gen_ai.usage.reasoning.output_tokens": reasoning,
            "gen_ai.usage.total_tokens": totals[reading],
        }
        said: dict[str, object] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": {"google": "gemini-2.5-pro", "x_ai": "grok-4"}.get(provider, "claude-sonnet-4-5"),
            **{key: value for key, value in counts.items() if value is not None},
        }
        expected = _enrich(long, number, scope, 3, START_NS, said)
        taken += (
            short._shortcuts.price((scope, 3, 0, tuple(said)), f"chat {said['gen_ai.request.model']}", START_NS, said)
            is not None
        )
        assert _enrich(short, number, scope, 3, START_NS, said) == expected, said
    assert taken > 100


USUAL = {"input_tokens": 500_000, "output_tokens": 900, "cache_read_tokens": 300_000, "output_reasoning_tokens": 500}
UNUSUAL = {
    **dict.fromkeys(("cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"), 3_000),
    **dict.fromkeys(("input_audio_tokens", "output_audio_tokens", "web_searches"), 2),
}


@pytest.mark.parametrize("seed", range(3))
def test_the_ways_agree_on_our_own_spans(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """What is read on the wire, of every set of units; some values come out as no reader of ours tells them."""
    chance = random.Random(seed)
    short, long = Enricher(), Enricher()
    monkeypatch.setattr(long._shortcuts, "_recipes", _Never())
    sets = [
        [unit for unit in (*USUAL, *UNUSUAL) if chance.random() < (0.8 if unit in USUAL else 0.15)] for _ in range(25)
    ]
    taken = 0
    for number in range(2_000):
        provider, model = chance.choice(MODELS)
        usage = {unit: chance.choice((0, chance.randrange({**USUAL, **UNUSUAL}[unit]))) for unit in chance.choice(sets)}
        asked = Asked(API, provider, "chat", Request("POST", "https://api.example.com/v1", {}), model)
        cost = 5 * 10**9 if chance.random() < 0.05 else None
        told = Reading("chat", provider, model, model, f"id-{number}", usage=usage, reported_cost_pico_usd=cost)
        said = {**asked_attributes(asked, "chat"), **own_attributes(asked, told, usage, {})}
        if chance.random() < 0.05:
            said[chance.choice(list(said))] = chance.choice(ODD)
        at_ns = START_NS - chance.choice((0, 0, 10**15, 2 * 10**17))
        expected = _enrich(long, number, WIRE_SCOPE, 3, at_ns, said)
        shape = (WIRE_SCOPE, 3, 0, tuple(said))
        taken += short._shortcuts.price(shape, f"chat {said['gen_ai.request.model']}", at_ns, said) is not None
        assert _enrich(short, number, WIRE_SCOPE, 3, at_ns, said) == expected, said
    assert taken > 300


class _Never(dict[object, object]):
    """Learns nothing."""

    def __setitem__(self, key: object, value: object) -> None:
        return


def test_what_is_learned_is_bounded() -> None:
    """Emitters that invent names or keys do not grow the app's memory."""
    enricher = Enricher()
    for number in range(3 * MAX_NAMES_PER_SHAPE):
        said = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini",
            "server.address": f"host-{number}",
            "gen_ai.usage.input_tokens": 10,
        }
        assert _enrich(enricher, number, "opentelemetry.instrumentation.genai.openai", 3, START_NS, said)
    [recipe] = enricher._shortcuts._recipes.values()
    assert recipe is not None
    assert len(recipe.templates) <= MAX_NAMES_PER_SHAPE


def test_nothing_is_known_at_first() -> None:
    """Only what the long way made of a span is repeated."""
    assert Shortcuts(default_card()).price(("", 3, 0, ()), "chat", START_NS, {}) is None


def test_recent_forgets_the_oldest_and_never_the_last() -> None:
    """At least `size` keys are remembered, at most twice as many."""
    recent: Recent[int, int] = Recent(10)
    for number in range(100):
        recent.put(number, number)
        assert len(recent) <= 20
        assert [recent.get(known) for known in range(max(0, number - 9), number + 1)] == list(
            range(max(0, number - 9), number + 1)
        )
    assert recent.get(0) is None
    assert recent.pop(99) == 99
    assert recent.get(99) is None
    once: Recent[int, object] = Recent(10)
    assert [once.add(7), once.add(7)] == [True, False]
    recent.clear()
    assert len(recent) == 0
