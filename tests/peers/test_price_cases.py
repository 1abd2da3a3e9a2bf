"""Sourced cases of names and costs through the real command: `otel-cost price --jsonl`."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "testdata" / "pricing"
ASKED = ("provider", "model", "at", "usage", "context")


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file."""
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def answers(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the command says to each case."""
    lines = "\n".join(json.dumps({key: case[key] for key in ASKED if key in case}) for case in asked)
    command = [sys.executable, "-m", "otel_cost", "price", "--jsonl", "-"]
    run = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def agrees(case: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether an answer is what a case expects, to the pico-USD."""
    expected, got = case["cost_usd"], answer["cost_usd"]
    same = expected is got if expected is None or got is None else Decimal(expected) == Decimal(got)
    return same and answer["status"] == case.get("status", answer["status"])


@pytest.mark.parametrize(
    ("name", "at_least"), [("rules.jsonl", 400), ("genai_prices.jsonl", 240), ("litellm.jsonl", 160)]
)
def test_every_sourced_case_costs_what_its_source_says(name: str, at_least: int) -> None:
    asked = cases(name)
    assert len(asked) >= at_least
    assert all(case["source"] for case in asked)
    wrong = [
        f"{case['source']}: {json.dumps({key: case[key] for key in ASKED if key in case})} costs {case['cost_usd']}, "
        f"not {answer['cost_usd']} ({answer['status']}, {answer['model']}, {answer['reason']})"
        for case, answer in zip(asked, answers(asked), strict=True)
        if not agrees(case, answer)
    ]
    assert wrong == []


def test_what_no_price_list_has_is_refused_with_a_reason() -> None:
    unknown = [case for case in cases("rules.jsonl") if case["cost_usd"] is None]
    assert len(unknown) >= 40
    for case, answer in zip(unknown, answers(unknown), strict=True):
        assert answer["status"] == "unpriced", case
        assert answer["reason"], case
