"""What input and output include, rule by rule: each dialect's counts become our inclusive units."""

from __future__ import annotations

import pytest

from otel_cost.call import Flag
from tests.otel_cost.normalise.help import call, chat

NATIVE = "com.anthropic.sdk.python"
BOTOCORE = "opentelemetry.instrumentation.botocore.bedrock-runtime"
OPENLIT = "openlit.otel.tracing"


def claude(**usage: object) -> dict[str, object]:
    """Attributes of an Anthropic chat span."""
    return chat(**usage) | {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}


def test_inclusive_and_exclusive_encodings_of_one_call_are_equal() -> None:
    """Official Anthropic (sum), OpenLIT Anthropic and Bedrock Converse (as is): 100 + 1000 + 200 tokens of input."""
    parts: dict[str, object] = {
        "output_tokens": 50,
        "cache_read__input_tokens": 1000,
        "cache_creation__input_tokens": 200,
    }
    official = call(claude(input_tokens=1300, **parts), "opentelemetry.instrumentation.genai.anthropic")
    openlit = call(claude(input_tokens=100, **parts), OPENLIT)
    bedrock = call(claude(input_tokens=100, **parts) | {"gen_ai.provider.name": "aws.bedrock"}, BOTOCORE)
    assert official.usage == openlit.usage == bedrock.usage
    assert official.usage["input_tokens"] == 1300
    assert not official.flags & Flag.CACHE_EXCLUSIVE
    assert openlit.flags & bedrock.flags & Flag.CACHE_EXCLUSIVE


@pytest.mark.parametrize(("provider", "entered"), [("anthropic", 6000), ("aws.bedrock", 6000), ("openai", 5000)])
def test_openlit_counts_two_providers_without_the_cache(provider: str, entered: int) -> None:
    """Where arithmetic proves nothing, the table decides by provider."""
    usage = chat(input_tokens=5000, output_tokens=5, cache_read__input_tokens=1000)
    assert call(usage | {"gen_ai.provider.name": provider}, OPENLIT).usage["input_tokens"] == entered


def test_native_anthropic_says_time_to_live_and_tier() -> None:
    """150 written for five minutes, 50 for an hour, priority tier; nothing is assumed."""
    attributes = claude(
        input_tokens=1300, output_tokens=50, cache_read__input_tokens=1000, cache_write__input_tokens=200
    ) | {
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 150,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 50,
        "anthropic.response.service_tier": "priority",
    }
    found = call(attributes, NATIVE, "anthropic.messages.create")
    assert dict(found.usage) == {
        "input_tokens": 1300,
        "output_tokens": 50,
        "cache_read_tokens": 1000,
        "cache_write_tokens": 200,
        "cache_write_5m_tokens": 150,
        "cache_write_1h_tokens": 50,
    }
    assert (found.service_tier, found.dialect, found.flags) == ("priority", "anthropic_native", Flag.NONE)


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
    ],
)
def test_four_spellings_of_cache_writes_are_one(key: str) -> None:
    """The convention's names for cache writes, today's and deprecated ones."""
    assert call(claude(input_tokens=500, output_tokens=1) | {key: 200}).usage["cache_write_tokens"] == 200


def test_several_spellings_on_one_span_are_not_added() -> None:
    """strands writes both vocabularies with the same counts."""
    usage = call(chat(input_tokens=10, prompt_tokens=10, output_tokens=3, completion_tokens=3)).usage
    assert dict(usage) == {"input_tokens": 10, "output_tokens": 3}


def test_cache_above_the_input_proves_an_exclusive_count() -> None:
    """2,560 cached of 53 is impossible, so the input left them out."""
    found = call(chat(input_tokens=53, output_tokens=1, cache_read__input_tokens=2560))
    assert found.usage["input_tokens"] == 2613
    assert found.flags == Flag.CACHE_EXCLUSIVE


def test_a_total_of_input_and_output_proves_an_inclusive_count() -> None:
    """Read and written may overlap in one gateway's report; the total says that the input has it all."""
    found = call(
        chat(
            input_tokens=2168,
            output_tokens=10,
            total_tokens=2178,
            cache_read__input_tokens=2161,
            cache_write__input_tokens=2161,
        )
    )
    assert found.usage["input_tokens"] == 2168
    assert found.usage["cache_write_tokens"] + found.usage["cache_read_tokens"] == 2168
    assert found.flags == Flag.CLAMPED


def test_a_total_with_the_cache_proves_an_exclusive_count() -> None:
    """100 + 50 + 40 = 190: the cached 40 are beside the input."""
    found = call(chat(input_tokens=100, output_tokens=50, total_tokens=190, cache_read__input_tokens=40))
    assert found.usage["input_tokens"] == 140
    assert found.flags == Flag.CACHE_EXCLUSIVE


def test_an_unfitting_total_is_flagged_and_changes_nothing() -> None:
    """A total that is no reading of the parts is doubt, not data."""
    found = call(chat(input_tokens=100, output_tokens=50, total_tokens=777))
    assert dict(found.usage) == {"input_tokens": 100, "output_tokens": 50}
    assert found.flags == Flag.TOTAL_MISMATCH


def test_reasoning_beside_the_output_is_found_by_the_total() -> None:
    """xAI's chat API: total = prompt + completion + reasoning."""
    found = call(chat(input_tokens=10, output_tokens=5, reasoning__output_tokens=300, total_tokens=315))
    assert found.usage["output_tokens"] == 305
    assert found.flags == Flag.OUTPUT_DERIVED


def test_reasoning_beside_the_output_is_known_of_xai() -> None:
    """Without a total, only where the provider is known to count so and the counts prove it."""
    usage = chat(input_tokens=10, output_tokens=5, reasoning__output_tokens=300)
    assert call(usage | {"gen_ai.provider.name": "xai"}).usage["output_tokens"] == 305
    cut = call(usage)
    assert cut.usage["output_reasoning_tokens"] == 5
    assert cut.flags == Flag.CLAMPED


def test_traceloop_google_output_is_completed_by_the_total() -> None:
    """Its output is the candidates alone; thoughts are in the total only."""
    attributes = chat(input_tokens=10, output_tokens=5) | {"llm.usage.total_tokens": 65}
    found = call(attributes, "opentelemetry.instrumentation.google_generativeai")
    assert found.usage["output_tokens"] == 55
    assert found.flags == Flag.OUTPUT_DERIVED


@pytest.mark.parametrize(
    "scope", ["opentelemetry.instrumentation.genai.bedrock", "opentelemetry.instrumentation.bedrock"]
)
def test_bedrock_instrumentations_count_without_the_cache(scope: str) -> None:
    """The official one and Traceloop's pass Converse's inputTokens on as they are."""
    usage = chat(input_tokens=1000, output_tokens=5, cache_read__input_tokens=100)
    found = call(usage | {"gen_ai.provider.name": "aws.bedrock"}, scope)
    assert found.usage["input_tokens"] == 1100


def vercel(**more: object) -> dict[str, object]:
    """A Vercel span of an Anthropic call."""
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "anthropic.messages",
        "ai.model.id": "claude-sonnet-4-5",
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 5,
        "ai.usage.cachedInputTokens": 100,
        **more,
    }


def test_vercel_counts_anthropic_without_the_cache_until_version_6() -> None:
    """Version 6 shows itself by its input details; other providers always include the cache."""
    assert call(vercel(), "ai").usage["input_tokens"] == 1100
    six = vercel(**{"ai.usage.inputTokenDetails.cacheReadTokens": 100})
    assert call(six, "ai").usage["input_tokens"] == 1000
    assert call(vercel(**{"ai.model.provider": "openai.chat"}), "ai").usage["input_tokens"] == 1000


def test_claude_code_counts_without_the_cache() -> None:
    """Plain names, exclusive counts, recognised by the span's name."""
    found = call(
        {
            "model": "claude-opus-4-5",
            "input_tokens": 3,
            "output_tokens": 7,
            "cache_read_tokens": 900,
            "cache_creation_tokens": 90,
        },
        "com.anthropic.claude_code",
        "claude_code.llm_request",
        1,
    )
    assert (found.usage["input_tokens"], found.provider, found.kind) == (993, "anthropic", "leaf")


def test_langfuse_parts_are_disjoint_unless_the_object_is_openais() -> None:
    """LangChain's handler takes details out of input and output; OpenAI's own object includes them."""
    disjoint = '{"input": 10, "output": 5, "input_cache_read": 90, "output_reasoning": 20, "total": 125}'
    openai = '{"prompt_tokens": 100, "completion_tokens": 25, "prompt_tokens_details": {"cached_tokens": 90}}'
    base: dict[str, object] = {"langfuse.observation.type": "generation"}
    first = call(base | {"langfuse.observation.usage_details": disjoint}, "langfuse-sdk")
    second = call(base | {"langfuse.observation.usage_details": openai}, "langfuse-sdk")
    for found in (first, second):
        assert found.usage["input_tokens"] == 100
        assert found.usage["output_tokens"] == 25
        assert found.usage["cache_read_tokens"] == 90


def test_mlflow_writes_json_in_every_value() -> None:
    """Strings in quotes, usage as an object, an hour's writes split off."""
    usage = '{"input_tokens": 1300, "output_tokens": 5, "total_tokens": 1305, "cache_creation_input_tokens": 200, '
    usage += '"cache_creation_input_tokens_above_1hr": 50}'
    found = call(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.provider": '"anthropic"',
            "mlflow.llm.model": '"claude-sonnet-4-5"',
            "mlflow.chat.tokenUsage": usage,
            "mlflow.llm.cost": '{"total_cost": 0.001}',
            "mlflow.trace.user": '"u1"',
        },
        "mlflow.openai",
    )
    assert found.usage["cache_write_1h_tokens"] == 50
    assert (found.provider, found.request_model, found.owners["user"]) == ("anthropic", "claude-sonnet-4-5", "u1")
    assert found.reported_cost_pico_usd == 10**9
    assert not found.flags & Flag.TTL_ASSUMED


def test_langsmith_details_are_the_text_of_a_python_dict() -> None:
    """`str(dict)`, as the exporter writes it."""
    attributes = chat(input_tokens=100, output_tokens=5) | {
        "langsmith.span.kind": "llm",
        "gen_ai.usage.input_token_details": "{'cache_read': 60, 'cache_creation': 10, 'audio': None}",
    }
    usage = call(attributes, "langsmith").usage
    assert (usage["cache_read_tokens"], usage["cache_write_tokens"]) == (60, 10)


def test_unsplit_cache_writes_of_anthropic_are_flagged() -> None:
    """Only providers that bill by time to live are concerned."""
    usage: dict[str, object] = {"input_tokens": 500, "output_tokens": 1, "cache_write__input_tokens": 200}
    assert call(claude(**usage)).flags == Flag.TTL_ASSUMED
    assert call(chat(**usage)).flags == Flag.NONE


def test_openai_cache_writes_need_no_split() -> None:
    """A cache-creation count without time to live is a fact of its own."""
    usage = call(chat(input_tokens=4020, output_tokens=3, cache_write__input_tokens=4012)).usage
    assert (usage["input_tokens"], usage["cache_write_tokens"]) == (4020, 4012)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("x", Flag.NOT_A_NUMBER),
        (True, Flag.NOT_A_NUMBER),
        (float("nan"), Flag.NOT_A_NUMBER),
        (2.5, Flag.NOT_A_NUMBER),
        ([1], Flag.NOT_A_NUMBER),
        (-1, Flag.NEGATIVE),
        ("-3", Flag.NEGATIVE),
        ((1 << 40) + 1, Flag.TOO_LARGE),
        (10**400, Flag.TOO_LARGE),
    ],
)
def test_impossible_counts_are_dropped_and_flagged(value: object, flag: Flag) -> None:
    """The rest of the span is read as if the count were absent."""
    found = call(chat(input_tokens=value, output_tokens=5))
    assert dict(found.usage) == {"output_tokens": 5}
    assert found.flags == flag


@pytest.mark.parametrize("value", [12, "12", " 12 ", 12.0, "12.0"])
def test_counts_may_be_text_or_float(value: object) -> None:
    """Whole numbers in any clothes."""
    assert call(chat(input_tokens=value, output_tokens=5)).usage["input_tokens"] == 12


def test_an_unreadable_source_gives_way_to_the_next() -> None:
    """Precedence is among usable values."""
    found = call(chat(input_tokens="n/a", prompt_tokens=7, output_tokens=1))
    assert found.usage["input_tokens"] == 7
    assert found.flags == Flag.NOT_A_NUMBER


def test_absent_is_not_zero() -> None:
    """Zero cached tokens are said; no cached tokens are not."""
    assert "cache_read_tokens" not in call(chat(input_tokens=1, output_tokens=1)).usage
    assert call(chat(input_tokens=1, output_tokens=1, cache_read__input_tokens=0)).usage["cache_read_tokens"] == 0


def test_seconds_are_kept_in_millionths() -> None:
    """Our own key for quantities that no convention names."""
    assert call(chat() | {"otel_cost.usage.audio_seconds": 1.5}).usage["audio_seconds"] == 1_500_000
