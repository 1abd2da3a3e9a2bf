"""`otel-cost price`: one call or a file of calls, as the real command."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from collector.cli.price_command import command
from otel_cost.pricing import default_card

KEYS = ["status", "cost_usd", "model", "card", "receipt", "reason"]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), input=stdin)


def answer(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_answer_has_the_documented_shape() -> None:
    usage = '{"input_tokens": 1000, "cache_read_tokens": 600, "output_tokens": 50}'
    found = answer("--provider", "openai", "--model", "gpt-4o-mini", "--at", "2026-03-01", "--usage", usage)
    assert list(found) == KEYS
    assert found == {
        "status": "priced",
        "cost_usd": "0.000135",
        "model": "gpt-4o-mini",
        "card": default_card().digest,
        "receipt": [
            {"class": "input_tokens", "quantity": 400, "rate_pico_usd": 150_000, "per": 1, "cost_usd": "0.00006"},
            {"class": "cache_read_tokens", "quantity": 600, "rate_pico_usd": 75_000, "per": 1, "cost_usd": "0.000045"},
            {"class": "output_tokens", "quantity": 50, "rate_pico_usd": 600_000, "per": 1, "cost_usd": "0.00003"},
        ],
        "reason": None,
    }


def test_the_provider_may_be_absent_and_seconds_may_have_decimals() -> None:
    assert answer("--model", "claude-sonnet-4-5", "--usage", '{"input_tokens": 1}')["cost_usd"] == "0.000003"
    found = answer("--provider", "groq", "--model", "whisper-large-v3", "--usage", '{"audio_seconds": 12.5}')
    (line,) = found["receipt"]
    assert (line["quantity"], line["per"], line["rate_pico_usd"]) == (12.5, 3_600, 111_000_000_000)
    assert found["cost_usd"] == "0.000385416667"


def test_context_chooses_the_variant() -> None:
    usage = ("--provider", "openai", "--model", "gpt-5", "--usage", '{"input_tokens": 1000000}')
    costs = [
        answer(*usage, "--context", json.dumps({"service_tier": tier}))["cost_usd"] for tier in ("flex", "priority")
    ]
    assert costs == ["0.625", "2.5"]


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        ("2025-06-09T23:59:59.999999999Z", "10"),
        ("2025-06-10", "2"),
        ("2025-06-10T00:00:00", "2"),
        ("2025-06-10T01:00:00+02:00", "10"),
    ],
)
def test_at_is_utc_unless_it_has_an_offset_and_exact_to_the_nanosecond(at: str, cost: str) -> None:
    found = answer("--provider", "openai", "--model", "o3", "--at", at, "--usage", '{"input_tokens": 1000000}')
    assert found["cost_usd"] == cost


def test_an_unknown_model_is_an_answer_not_a_failure() -> None:
    found = answer("--provider", "openai", "--model", "gpt-99", "--usage", '{"input_tokens": 1}')
    assert (found["status"], found["cost_usd"]) == ("unpriced", None)
    assert "unknown model" in found["reason"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "gpt-4o"), "--usage"),
        (("--model", "gpt-4o", "--usage", "{"), "--usage: not JSON"),
        (("--model", "gpt-4o", "--usage", "[]"), "usage: expected an object"),
        (("--model", "gpt-4o", "--usage", '{"input_tokens": 1.5}'), "usage.input_tokens: expected a whole number"),
        (("--model", "gpt-4o", "--usage", '{"input_tokens": true}'), "usage.input_tokens: expected a number"),
        (("--model", "gpt-4o", "--usage", '{"input_tokens": NaN}'), "not JSON"),
        (("--model", "gpt-4o", "--usage", "{}", "--at", "yesterday"), "at: 'yesterday' is no ISO date"),
        (("--model", "gpt-4o", "--usage", "{}", "--jsonl", "-"), "leave --provider"),
    ],
)
def test_wrong_input_is_told_and_ends_with_2(arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_lines_are_answered_in_order_and_a_bad_one_says_where(tmp_path: Path) -> None:
    lines = [
        '{"provider": "openai", "model": "gpt-4o", "at": "2026-03-01", "usage": {"input_tokens": 1000}}',
        "{bad",
        '{"model": "gpt-99", "usage": {"input_tokens": 1}}',
        '{"model": "gpt-4o", "usage": {"input_tokens": 1}, "colour": "red"}',
        '{"model": "gpt-4o", "at": "2026-03-01", "usage": {"input_tokens": "1000"}, "context": null}',
    ]
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(lines) + "\n")
    result = run("--jsonl", str(path))
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [found["status"] for found in answers] == ["priced", "error", "unpriced", "error", "priced"]
    assert all(list(found) == KEYS for found in answers)
    assert answers[0]["cost_usd"] == answers[4]["cost_usd"] == "0.0025"
    assert result.exit_code == 2
    assert "line 2: not JSON" in result.stderr
    assert "line 4: unknown key 'colour'" in result.stderr


def test_standard_input_is_read_and_good_lines_end_with_0() -> None:
    result = run("--jsonl", "-", stdin='{"model": "gpt-4o", "usage": {"input_tokens": 1}}\n')
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "priced"


def test_people_see_a_receipt() -> None:
    result = run("--model", "gpt-4o", "--usage", '{"input_tokens": 1000, "web_searches": 2, "code_executions": 1}')
    assert result.exit_code == 0
    for text in ("gpt-4o", "0.0225 USD", "partial", "2.5 / 1M", "10 / 1,000", "no rate for code_executions"):
        assert text in result.stdout


def test_random_lines_never_crash() -> None:
    rng = random.Random(3)
    seed = '{"provider": "openai", "model": "gpt-4o", "at": "2026-03-01", "usage": {"input_tokens": 10}}'
    lines = []
    for _ in range(500):
        text = list(seed)
        for _ in range(rng.randint(1, 5)):
            text[rng.randrange(len(text))] = rng.choice('{}[]":,0.e-9x\\\x00é')
        lines.append("".join(text))
    result = run("--jsonl", "-", stdin="\n".join(lines) + "\n")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 500


def test_a_mistyped_unit_is_named_with_its_nearest_spelling() -> None:
    result = run("--model", "gpt-4o", "--usage", '{"input_tokns": 1000}')
    assert result.exit_code == 0
    assert 'usage.input_tokns: no such unit, so it has no rate; did you mean "input_tokens"?' in result.stderr
