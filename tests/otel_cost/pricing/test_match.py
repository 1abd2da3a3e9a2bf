"""Names to models, rule by rule; an unknown name is refused with a reason, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otel_cost.call import Flag
from otel_cost.pricing import default_card, price
from otel_cost.pricing.match import MAX_REMEMBERED, Resolution, resolve, resolve_name
from tests.otel_cost.normalise.help import call, chat


def name_of(provider: str | None, model: str) -> str | None:
    found = resolve_name(default_card(), provider, model).model
    return None if found is None else f"{found.provider}|{found.model}"


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        (" OpenAI ", " GPT-4o-mini ", "openai|gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini-2024-07-18", "azure|gpt-4o-mini"),
        ("az.ai.inference", "gpt-4.1", "azure|gpt-4.1"),
        ("x_ai", "grok-4", "x-ai|grok-4-0709"),
        ("mistral_ai", "codestral-latest", "mistral|codestral-latest"),
        ("moonshot_ai", "kimi-k2-0905-preview", "moonshotai|kimi-k2-0905-preview"),
        ("gcp.gen_ai", "gemini-2.5-flash", "google|gemini-2.5-flash"),
        ("gcp.vertex_ai", "gemini-2.5-flash", "google|gemini-2.5-flash"),
        ("ibm.watsonx.ai", "ibm/granite-3-8b-instruct", "watsonx|ibm/granite-3-8b-instruct"),
        ("cohere", "command-r-plus-08-2024", "cohere|command-r-plus"),
        ("perplexity", "sonar-pro", "perplexity|sonar-pro"),
        ("groq", "llama-3.3-70b-versatile", "groq|llama-3.3-70b-versatile"),
    ],
)
def test_rule_1_every_spelling_of_a_provider_is_one_provider(provider: str, model: str, expected: str) -> None:
    assert name_of(provider, model) == expected


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        (None, "gpt-4o", "openai|gpt-4o"),
        ("", "claude-sonnet-4-5", "anthropic|claude-sonnet-4-5"),
        ("langchain", "gemini-2.5-pro", "google|gemini-2.5-pro"),
        ("litellm", "anthropic/claude-sonnet-4-5", "anthropic|claude-sonnet-4-5"),
        ("fallback:a,b", "grok-4", "x-ai|grok-4-0709"),
        (None, "us.anthropic.claude-opus-4-5-20251101-v1:0", "aws|regional.anthropic.claude-opus-4-5-v1:0"),
        (None, "llama3", None),
        ("no-such-provider", "gpt-4o", None),
        ("ollama", "gpt-4o", None),
    ],
)
def test_rule_1_without_a_provider_the_shape_of_the_name_decides(
    provider: str | None, model: str, expected: str | None
) -> None:
    assert name_of(provider, model) == expected


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("gcp.gemini", "models/gemini-2.5-flash", "google|gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "google|gemini-2.5-pro"),
        ("gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "google|gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro@default", "google|gemini-2.5-pro"),
        ("openai", "openai/gpt-4o-mini", "openai|gpt-4o-mini"),
        ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", "openrouter|anthropic/claude-sonnet-4.5"),
        ("anthropic", "claude-sonnet-4-5[1m]", "anthropic|claude-sonnet-4-5"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "aws|amazon.nova-lite-v1:0",
        ),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", None),
    ],
)
def test_rule_3_wrappers_are_stripped(provider: str, model: str, expected: str | None) -> None:
    assert name_of(provider, model) == expected


def test_rule_4_a_region_has_its_own_price_or_is_flagged() -> None:
    card = default_card()
    eu, us = (resolve_name(card, "aws.bedrock", f"{region}.amazon.nova-pro-v1:0") for region in ("eu", "us"))
    assert eu.model is not None
    assert us.model is not None
    assert eu.model.variants["standard"][0].explicit["input_tokens"] == 1_050_000
    assert us.model.variants["standard"][0].explicit["input_tokens"] == 800_000
    elsewhere = resolve_name(card, "aws.bedrock", "sa.amazon.nova-pro-v1:0")
    assert elsewhere.flags == Flag.VARIANT_NOT_PRICED


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("ft:gpt-4o-mini:org::id", "openai|ft:gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:org:suffix:id", "openai|ft:gpt-4o-mini"),
        ("ft:gpt-4.1-mini-2025-04-14:org::id", "openai|ft:gpt-4.1-mini-2025-04-14"),
        ("ft:gpt-5:org::id", None),
    ],
)
def test_rule_5_a_fine_tuned_model_never_costs_what_its_base_does(model: str, expected: str | None) -> None:
    assert name_of("openai", model) == expected


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o-2024-05-13", "openai|gpt-4o-2024-05-13"),
        ("openai", "gpt-4o-mini-20240718", "openai|gpt-4o-mini"),
        ("openai", "gpt-5.2-20251211", "openai|gpt-5.2"),
        ("anthropic", "claude-3-7-sonnet@20250219", "anthropic|claude-3-7-sonnet-latest"),
        ("gcp.gemini", "gemini-2.0-flash-001", "google|gemini-2.0-flash"),
    ],
)
def test_rule_6_a_date_goes_only_if_the_dated_name_has_no_card(provider: str, model: str, expected: str) -> None:
    assert name_of(provider, model) == expected


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("anthropic", "claude-opus-4.1", "anthropic|claude-opus-4-1"),  # nika#1368: $0, budget passes
        ("anthropic", "claude-4-sonnet", "anthropic|claude-sonnet-4-0"),
        ("anthropic", "claude-4-1-opus", "anthropic|claude-opus-4-1"),
        ("azure", "gpt-35-turbo-16k", "openai|gpt-3.5-turbo-16k"),
        ("openai", "gpt-5-5", "openai|gpt-5.5"),
    ],
)
def test_rule_7_spellings(provider: str, model: str, expected: str) -> None:
    assert name_of(provider, model) == expected


def test_rule_9_the_answer_names_the_model_before_the_request() -> None:
    card = default_card()
    both = resolve(card, "azure.ai.openai", "my-deployment", "gpt-4o-mini-2024-07-18").model
    request = resolve(card, "openai", "gpt-4o", "something-internal").model
    assert both is not None
    assert request is not None
    assert (both.model, request.model) == ("gpt-4o-mini", "gpt-4o")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-opus-5-6"),
        ("anthropic", "claude-opus-4-9"),
        ("anthropic", "claude-opus-9"),
        ("openai", "gpt-4x"),
        ("openai", "gpt-5.9"),
        ("openai", "gpt-4o-mega"),
        ("openai", "o3-deluxe"),
        ("gcp.gemini", "gemini-9-pro"),
        ("gcp.gemini", "gemini-2.5-pro-9"),
        ("aws.bedrock", "amazon.titan-embed-text-v9"),
        ("openai", "deepseek-chat"),
        ("mistral_ai", "mistral-large-9"),
    ],
)
def test_rule_10_what_is_unknown_is_refused(provider: str, model: str) -> None:
    found = resolve_name(default_card(), provider, model)
    assert found.model is None
    assert "unknown model" in found.reason


def test_minuspod_pr_454_no_match_across_a_version_digit() -> None:
    """MinusPod PR#454: opus-4-8 was billed at an old opus-4 row, three times too high."""
    names = [name_of("anthropic", f"claude-opus-{version}") for version in ("4", "4-8", "5", "5-5")]
    assert names == [f"anthropic|claude-opus-{version}" for version in ("4-0", "4-8", "5", "5-5")]


def test_neatlogs_pr_3_gpt_4_is_not_gpt_4o() -> None:
    """neatlogs PR#3: `gpt-4` was found inside `gpt-4o`."""
    assert name_of("openai", "gpt-4") == "openai|gpt-4"
    assert name_of("openai", "gpt-4o") == "openai|gpt-4o"


def test_what_is_remembered_is_bounded() -> None:
    card = default_card()
    for number in range(MAX_REMEMBERED + 10):
        assert isinstance(resolve(card, "openai", f"gpt-none-{number}", None), Resolution)
    assert len(card.memo) <= MAX_REMEMBERED


def rate_of(provider: str, name: str, at: str) -> int:
    """The input rate of a name for a call that starts then, pico-USD per token."""
    at_ns = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    usage = {"input_tokens": 1}
    cost = price(
        provider=provider, request_model=name, response_model=None, at_ns=at_ns, usage=usage, context={},
        card=default_card(),
    )  # fmt: skip
    assert cost.total_pico_usd is not None
    return cost.total_pico_usd


@pytest.mark.parametrize(
    ("provider", "name", "rates"),
    [
        ("openai", "gpt-4o", {"2024-10-01T23:59:59": 5_000_000, "2024-10-02T00:00:00": 2_500_000}),
        ("openai", "gpt-3.5-turbo", {"2024-02-15T23:59:59": 1_500_000, "2024-02-16T00:00:00": 500_000}),
        ("mistral", "mistral-large-latest", {"2025-12-01T23:59:59": 2_000_000, "2025-12-02T00:00:00": 500_000}),
        ("mistral", "mistral-medium-latest", {"2025-05-06T23:59:59": 2_700_000, "2025-05-07T00:00:00": 400_000}),
        ("mistral", "codestral-latest", {"2025-01-12T23:59:59": 200_000, "2025-01-13T00:00:00": 300_000}),
        ("cohere", "command-r-plus", {"2024-08-29T23:59:59": 3_000_000, "2024-08-30T00:00:00": 2_500_000}),
    ],
)
def test_an_alias_that_moved_costs_what_it_meant_on_the_day(provider: str, name: str, rates: dict[str, int]) -> None:
    assert {at: rate_of(provider, name, at) for at in rates} == rates


def test_a_dated_name_keeps_its_price_when_the_alias_moves() -> None:
    for at in ("2024-06-01", "2026-06-01"):
        assert rate_of("openai", "gpt-4o-2024-05-13", at) == 5_000_000


@pytest.mark.parametrize(
    ("said", "host", "billed"),
    [
        ("anthropic", "api.openai.com", "openai"),
        ("openai", "api.anthropic.com", "anthropic"),
        ("anthropic", "api.deepseek.com", "deepseek"),
        ("openai", "generativelanguage.googleapis.com", "gcp.gemini"),
        ("gcp.gemini", "api.openai.com", "gcp.gemini"),
        ("deepseek", "api.openai.com", "deepseek"),
        ("mistral_ai", "api.openai.com", "mistral_ai"),
        ("anthropic", "proxy.internal", "anthropic"),
    ],
)
def test_the_host_bills_where_the_wire_is_spoken_by_many(said: str, host: str, billed: str) -> None:
    """OpenAI's and Anthropic's SDKs speak to whatever host they are given, so a known host says who bills; an SDK of
    Gemini, DeepSeek or Mistral in front of somebody else's host is a mistake in the telemetry, and the name stands."""
    assert call(chat() | {"gen_ai.provider.name": said, "server.address": host}).provider == billed


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "global.anthropic."),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "regional.anthropic."),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "regional.anthropic."),
    ],
)
def test_rule_9_a_profile_that_was_asked_for_keeps_its_place(asked: str, answered: str, expected: str) -> None:
    """InvokeModel answers with the bare name of the model, which would be priced as a call in one region."""
    found = resolve(default_card(), "aws.bedrock", asked, answered).model
    assert found is not None
    assert found.model == f"{expected}claude-sonnet-4-5-20250929-v1:0"


def test_rule_9_another_model_that_answered_wins_over_the_profile() -> None:
    found = resolve(default_card(), "aws.bedrock", "global.anthropic.claude-opus-4-6-v1", "claude-sonnet-4-6").model
    assert found is not None
    assert "claude-sonnet-4-6" in found.model
