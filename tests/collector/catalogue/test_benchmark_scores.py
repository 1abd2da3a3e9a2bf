"""The shipped benchmark scores: a model's own, the lowest of several, with how, when and by whom they were taken."""

from __future__ import annotations

import json

import pytest

from collector.catalogue.benchmark_scores import FILE, benchmarks, score_of
from collector.catalogue.build.scores import LICENCES, scores
from otel_cost.pricing import default_card
from otel_cost.pricing.match import resolve

ROW = {
    "model": "GPT-9",
    "benchmark": "GPQA",
    "score": "61.5",
    "source": "github.com/some/board @abc1234 (CC BY 4.0), citing https://example.com/gpt-9",
    "date": "2026-01-02",
    "setting": "0-shot",
    "kind": "vendor",
}


def test_the_file_has_what_its_builder_takes_of_a_table() -> None:
    """Not: rows of others than the provider, without a score, or of a source that says nothing of a licence."""
    others = (
        {"kind": "other vendor"},
        {"kind": "independent:somebody"},
        {"score": ""},
        {"source": "github.com/some/board @abc1234"},
        {"source": "github.com/some/board @abc1234 (proprietary)"},
        {"source": "https://example.com/gpt-9"},
    )
    second = {"score": "70", "source": "github.com/other/board README @ff00 (MIT)", "setting": ""}
    found = json.loads(scores([ROW, *(ROW | each for each in others), ROW | second]))
    cited = "https://example.com/gpt-9"
    assert found["models"] == {
        "gpt-9": {"GPQA": [[61.5, "0-shot", "2026-01-02", 0, cited], [70.0, "", "2026-01-02", 1, ""]]}
    }
    assert [each["repository"] for each in found["sources"]] == [
        "github.com/some/board",
        "github.com/other/board README",
    ]


def test_every_shipped_score_is_a_percentage_of_a_source_that_may_be_passed_on() -> None:
    shipped = json.loads(FILE.read_text())
    assert {source["licence"] for source in shipped["sources"]} == set(LICENCES)
    rows = [row for model in shipped["models"].values() for found in model.values() for row in found]
    assert len(rows) > 200
    assert all(0 <= row[0] <= 100 and row[3] < len(shipped["sources"]) for row in rows)
    assert set(benchmarks()) >= {"AIME 2025", "GPQA", "GPQA Diamond", "MMLU-Pro"}


@pytest.mark.parametrize(
    ("model", "benchmark", "expected"),
    [
        ("gpt-5", "GPQA Diamond", 85.7),
        ("openai/GPT-5-2025-08-07", "GPQA Diamond", 85.7),  # a version of it
        ("claude-opus-4-0", "AIME 2025", 75.5),
        ("o3-mini", "GPQA Diamond", 67.6),  # the lowest of four settings
        ("mistral-small-latest", "GPQA Diamond", None),  # newer than the versions that were measured
        ("gpt-4o-2099-01-01", "GPQA", None),
        ("gpt-5-pro", "GPQA Diamond", None),  # another model
        ("gemma-3", "GPQA", None),  # of three sizes
        ("gpt-5", "MMLU-Pro", None),
        ("house-llm", "GPQA", None),
        ("gpt-5", "Vibes", None),
    ],
)
def test_a_score_is_of_that_very_model_and_the_lowest_that_is_known(
    model: str, benchmark: str, expected: float | None
) -> None:
    found = score_of(benchmark, model)
    assert (found and found.score) == expected


def test_a_model_of_no_version_has_the_lowest_score_of_its_versions() -> None:
    versions = [score_of("MMLU-Pro", f"claude-3-5-sonnet-{day}") for day in ("20240620", "20241022")]
    found = score_of("MMLU-Pro", "claude-3-5-sonnet")
    assert [each and each.score for each in versions] == [76.1, 77.6]
    assert found == versions[0]


def test_scores_are_found_by_the_names_of_the_card() -> None:
    for name in ("claude-haiku-4-5-20251001", "gemini-2.5-pro", "gpt-4.1-mini", "deepseek-v4-flash"):
        model = resolve(default_card(), None, name, None).model
        assert model is not None
        assert any(score_of(benchmark, model.model) for benchmark in benchmarks())
