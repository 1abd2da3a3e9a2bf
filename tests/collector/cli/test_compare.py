"""The same usage on other models: exact within a tokenizer, a range beyond it, and nothing is ever taken for free."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_cost import attributes as keys
from tests.collector.cli.scenario import SECOND_NS, TOTAL, Trace, call, run, run_json, usage

SAID = dict[str, str | int]


def ledger_of(folder: Path, calls: Iterable[Mapping[str, str | int]]) -> str:
    """A ledger that `otel-cost import` filled with one trace of model calls, an hour old."""
    trace = Trace("c1" * 16, time.time_ns() - 3600 * SECOND_NS, {keys.OTEL_COST_RUN: "night"})
    for number, said in enumerate(calls):
        trace.add(f"chat {number}", attributes=dict(said))
    path = folder / "own.duckdb"
    source = folder / "calls.json"
    source.write_text(json.dumps(trace.request()))
    result = run("import", str(source), "--db", str(path))
    assert result.exit_code == 0, result.output
    return str(path)


def on(found: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What a group of the JSON says of one model."""
    (said,) = [each for each in found["models"] if each["model"] == model]
    return dict(said)


def test_a_model_of_the_same_tokenizer_costs_one_exact_amount(ledger: str) -> None:
    """gpt-4.1 for gpt-4o: 600 at $2, 400 cached at $0.50, 100 out at $8 per million."""
    found = run_json("compare", "--ledger", ledger, "--by", "agent", "--models", "gpt-4.1")
    (planner,) = [group for group in found["groups"] if group["value"] == "planner"]
    said = on(planner, "gpt-4.1")
    assert said["exact"]
    assert (said["low_usd"], said["high_usd"]) == ("0.0022", "0.0022")
    assert (planner["cost_usd"], said["difference_low_usd"]) == ("0.003", "-0.0008")


def test_a_model_of_another_tokenizer_costs_a_range(ledger: str) -> None:
    """Haiku for gpt-4o makes 1.1 to 1.5 tokens of one: of 29,000 in and 899 out, at $1 and $5 per million."""
    found = run_json("compare", "--ledger", ledger, "--by", "agent", "--models", "claude-haiku-4-5")
    (helper,) = [group for group in found["groups"] if group["value"] == "helper"]
    said = on(helper, "claude-haiku-4-5")
    low = Decimal(31_900 + 988 * 5).scaleb(-6)
    high = Decimal(43_500 + 1_348 * 5).scaleb(-6)
    assert (Decimal(said["low_usd"]), Decimal(said["high_usd"]), said["exact"]) == (low, high, False)
    assert {"of": "gpt-4o", "least": "1.1", "most": "1.5"} in found["models"][0]["tokens_per_token"]


def test_groups_add_up_to_the_total(ledger: str) -> None:
    """By every dimension, to the pico-dollar; the total is what the priced calls cost."""
    for by in ("agent", "feature", "model", "customer", "team"):
        found = run_json("compare", "--ledger", ledger, "--by", by)
        assert Decimal(found["total"]["cost_usd"]) == TOTAL
        for figure in ("low_usd", "high_usd"):
            for said in found["total"]["models"]:
                parts = [Decimal(on(group, said["model"])[figure]) for group in found["groups"]]
                assert sum(parts) == Decimal(said[figure])


def test_by_itself_it_offers_four_models_and_more_some_cheaper_and_some_dearer(ledger: str) -> None:
    """Of several providers; exactly one is marked."""
    found = run_json("compare", "--ledger", ledger)
    models = found["total"]["models"]
    assert len(models) >= 4
    assert len({each["provider"] for each in models}) >= 3
    assert min(Decimal(each["high_usd"]) for each in models) < TOTAL < max(Decimal(each["low_usd"]) for each in models)
    assert [each["model"] for each in models if each["cheapest"]] == [found["total"]["cheapest"]]


def test_an_unpriced_call_is_left_out_and_said(ledger: str) -> None:
    """No cost is known of it: it is compared with nothing, and it is not free."""
    assert run_json("compare", "--ledger", ledger)["left_out"] == [{"reason": "unpriced", "calls": 1, "cost_usd": None}]
    assert "1 calls left out: unpriced" in run("compare", "--ledger", ledger).output


def test_a_call_on_its_own_model_costs_what_it_cost(tmp_path: Path) -> None:
    """Long inputs, cached tokens, both kinds of cache writes: the same reader, the same figure."""
    written = {keys.GEN_AI_USAGE_CACHE_CREATION: 3000}
    path = ledger_of(
        tmp_path,
        [
            call("anthropic", "claude-sonnet-4-5", "a", **usage(250_000, 2_000, GEN_AI_USAGE_CACHE_READ=40_000))
            | written,
            call("anthropic", "claude-sonnet-4-5", "b", **usage(9_000, 11)) | written,
        ],
    )
    total = run_json("compare", "--ledger", path, "--models", "claude-sonnet-4-5")["total"]
    said = on(total, "claude-sonnet-4-5")
    assert said["low_usd"] == said["high_usd"] == total["cost_usd"]
    assert said["difference_low_usd"] == said["difference_high_usd"] == "0.00"


def test_a_long_input_is_priced_by_the_tier_that_it_falls_into_there(tmp_path: Path) -> None:
    """160,000 tokens of gpt-4.1 are 156,000 to 212,800 of Gemini 2.5 Pro, which doubles the price above 200,000."""
    path = ledger_of(tmp_path, [call("openai", "gpt-4.1", "a", **usage(160_000, 0))])
    said = on(run_json("compare", "--ledger", path, "--models", "gemini-2.5-pro")["total"], "gemini-2.5-pro")
    assert Decimal(said["low_usd"]) == 156_000 * Decimal("1.25") / 10**6
    assert Decimal(said["high_usd"]) == 212_800 * Decimal("2.50") / 10**6


def test_a_class_without_a_price_there_is_billed_as_its_parent(tmp_path: Path) -> None:
    """OpenAI does not charge for cache writes: 3,000 written and 1,000 other tokens are input at $2 per million."""
    said = call("openai", "gpt-4o", "a", **usage(4_000, 0)) | {keys.GEN_AI_USAGE_CACHE_CREATION: 3000}
    path = ledger_of(tmp_path, [said])
    found = on(run_json("compare", "--ledger", path, "--models", "gpt-4.1")["total"], "gpt-4.1")
    assert Decimal(found["low_usd"]) == Decimal("0.008")
    assert found["billed_as_parent_calls"] == 1


def test_a_model_that_has_no_price_for_a_part_is_never_the_cheapest(tmp_path: Path) -> None:
    """DeepSeek has no web search: its tokens cost less, and how much all of it would cost is not known."""
    searched = call("anthropic", "claude-sonnet-4-5", "a", **usage(1000, 100)) | {
        "otel_cost.usage." + "web_searches": 2
    }
    path = ledger_of(tmp_path, [searched])
    total = run_json("compare", "--ledger", path, "--models", "deepseek-v4-flash,claude-haiku-4-5")["total"]
    said = on(total, "deepseek-v4-flash")
    assert (said["partial_calls"], said["complete"], said["difference_low_usd"]) == (1, False, None)
    assert Decimal(said["low_usd"]) < Decimal(on(total, "claude-haiku-4-5")["low_usd"])
    assert total["cheapest"] == "claude-haiku-4-5"
    shown = run("compare", "--ledger", path, "--models", "deepseek-v4-flash,claude-haiku-4-5").output
    assert "≥ $" in shown


def test_calls_that_do_not_fit_a_context_window_are_counted_and_that_model_is_not_the_cheapest(tmp_path: Path) -> None:
    """200,000 tokens of Claude Haiku 4.5 are 181,819 of gpt-4.1 at most, in and out: one more does not fit."""
    calls = [call("openai", "gpt-4.1", f"{at}", **usage(at, 819)) for at in (1_000, 181_000, 181_001)]
    path = ledger_of(tmp_path, calls)
    found = run_json("compare", "--ledger", path, "--models", "gpt-4.1,claude-haiku-4-5,claude-opus-5-5")
    assert [each["context_window_tokens"] for each in found["models"]] == [1_000_000, 200_000, 1_000_000]
    assert [each["too_long_calls"] for each in found["total"]["models"]] == [0, 1, 0]
    assert on(found["total"], "claude-haiku-4-5")["complete"]
    assert found["total"]["cheapest"] == "gpt-4.1"
    assert "do not fit the context window" in run("compare", "--ledger", path, "--models", "claude-haiku-4-5").output


def test_by_itself_it_offers_only_models_that_have_room_for_every_call(tmp_path: Path) -> None:
    path = ledger_of(
        tmp_path, [call("openai", "gpt-4.1", "a", **usage(1_040_000, 10)), call("openai", "gpt-4o", "b", **usage(1, 1))]
    )
    offered = run_json("compare", "--ledger", path)
    assert {each["too_long_calls"] for each in offered["total"]["models"]} == {0}


def test_what_a_model_has_done_fits_it_whatever_the_catalogue_says(tmp_path: Path) -> None:
    path = ledger_of(tmp_path, [call("openai", "gpt-4.1", "a", **usage(1_040_000, 10))])
    found = run_json("compare", "--ledger", path, "--models", "gpt-4.1,gpt-4.1-mini")
    assert [each["too_long_calls"] for each in found["total"]["models"]] == [0, 1]


def test_embeddings_are_not_compared_with_text_models(tmp_path: Path) -> None:
    """What they cost is said beside the table."""
    embedded = call("openai", "text-embedding-3-small", "a", GEN_AI_USAGE_INPUT_TOKENS=1_000_000)
    path = ledger_of(tmp_path, [embedded | {keys.GEN_AI_OPERATION_NAME: "embeddings"}])
    assert run_json("compare", "--ledger", path)["left_out"] == [
        {"reason": "no text call", "calls": 1, "cost_usd": "0.02"}
    ]
    assert "left out: 1 no text call" in run("compare", "--ledger", path).output


def test_a_reported_cost_stays_with_the_model_that_did_the_call(tmp_path: Path) -> None:
    """OpenRouter said 1 USD; on gpt-4.1 the same tokens cost what gpt-4.1 costs."""
    reported: SAID = {keys.GEN_AI_USAGE_COST_AMOUNT: 1, keys.GEN_AI_USAGE_COST_CURRENCY: "USD"}
    said = call("openrouter", "openai/gpt-4o", "a", **usage(1000, 100)) | reported
    path = ledger_of(tmp_path, [said | {keys.GEN_AI_USAGE_COST_SOURCE: "provider"}])
    total = run_json("compare", "--ledger", path, "--models", "gpt-4.1")["total"]
    assert total["cost_usd"] == "1.00"
    assert Decimal(on(total, "gpt-4.1")["low_usd"]) == Decimal("0.0028")


def test_discounts_of_a_contract_hold_for_the_other_model_too(ledger: str, tmp_path: Path) -> None:
    """A tenth off at OpenAI."""
    config = tmp_path / "config.yaml"
    config.write_text("processors: {cost: {discounts: [{name: deal, provider: openai, multiplier: 0.9}]}}\n")
    arguments = ("compare", "--ledger", ledger, "--models", "gpt-4.1")
    plain, reduced = (run_json(*each)["total"] for each in (arguments, (*arguments, "--config", str(config))))
    for figure in ("low_usd", "high_usd"):
        assert Decimal(on(reduced, "gpt-4.1")[figure]) == Decimal(on(plain, "gpt-4.1")[figure]) * Decimal("0.9")


@pytest.mark.parametrize(
    ("models", "guess"),
    [("gpt-4.1,gpt5mini", "gpt-5-mini"), ("claude-haiku-45-5", "claude-haiku-4-5"), ("openai/gpt-4,1x", "1x")],
)
def test_an_unknown_model_is_refused_with_the_nearest_names(ledger: str, models: str, guess: str) -> None:
    """Never taken for another one."""
    result = run("compare", "--ledger", ledger, "--models", models)
    assert result.exit_code == 2
    assert "the card has no price for" in result.output
    assert guess in result.output


def test_nothing_is_written(ledger: str) -> None:
    """The ledger is read."""
    before = Path(ledger).read_bytes()
    assert run("compare", "--ledger", ledger, "--by", "model").exit_code == 0
    assert Path(ledger).read_bytes() == before


def test_the_table_names_every_model_and_marks_one(ledger: str) -> None:
    """With the rows of `--by` under it, and what the ranges are."""
    shown = run(
        "compare", "--ledger", ledger, "--by", "agent", "--models", "gpt-4.1,claude-haiku-4-5,gpt-5-nano"
    ).output
    for text in ("as used", "gpt-4.1", "claude-haiku-4-5", "gpt-5-nano *", "planner", "* the cheapest", "ranges: "):
        assert text in shown


SCORED = ("--models", "gpt-5,gpt-4.1-nano,grok-4.7,claude-opus-5-5", "--benchmark", "gpqa diamond")


def test_models_that_score_too_little_or_nobody_knows_what_are_left_out_and_counted(ledger: str) -> None:
    shown = run("compare", "--ledger", ledger, *SCORED, "--min-score", "60").output
    for text in ("GPQA Diamond", "85.7%", "models left out: 1 score less than 60%, of 2 no score is known"):
        assert text in shown
    assert "grok-4.7" not in shown
    found = run_json("compare", "--ledger", ledger, *SCORED, "--min-score", "60")
    assert [each["model"] for each in found["models"]] == ["gpt-5"]
    assert (found["benchmark"]["below_models"], found["benchmark"]["unknown_models"]) == (1, 2)
    assert "no model is left" in run("compare", "--ledger", ledger, *SCORED, "--min-score", "100").output


def test_a_benchmark_alone_shows_scores_and_a_least_score_needs_one(ledger: str) -> None:
    shown = run("compare", "--ledger", ledger, *SCORED).output
    for text in ("85.7%", "50.3%", "unknown"):
        assert text in shown
    refused = run("compare", "--ledger", ledger, "--min-score", "60")
    assert refused.exit_code == 2
    assert "MMLU-Pro" in refused.output


def test_without_a_ledger_it_says_how_to_get_one(tmp_path: Path) -> None:
    """Exit code 1."""
    result = run("compare", "--ledger", str(tmp_path / "none.duckdb"))
    assert result.exit_code == 1
    assert "there is no ledger" in result.output
