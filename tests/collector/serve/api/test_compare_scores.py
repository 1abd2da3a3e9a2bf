"""What if, on models that score enough in a benchmark: who passes, who is left out; unknown is never enough."""

from __future__ import annotations

import pytest

from collector.analysis.compare_models import candidates
from collector.catalogue.benchmark_scores import score_of
from otel_cost.pricing import default_card
from tests.collector.serve.api.full import Collector

GPQA = "GPQA Diamond"
ASKED = "gpt-5,gpt-4.1-nano,grok-4.7"
"""85.7 per cent, 50.3, and unknown."""


def test_models_that_score_too_little_or_nobody_knows_what_are_left_out_and_counted(collector: Collector) -> None:
    shown = collector.get("/compare", since="all", models=ASKED, benchmark=GPQA, min_score="50.3", by="agent")
    assert [each["model"] for each in shown["models"]] == ["gpt-5", "gpt-4.1-nano"]
    assert [each["score"]["score"] for each in shown["models"]] == [85.7, 50.3]
    assert [each["model"] for each in shown["groups"][0]["models"]] == ["gpt-5", "gpt-4.1-nano"]
    shown = collector.get("/compare", since="all", models=ASKED, benchmark=GPQA, min_score="50.4")
    found = shown["benchmark"]
    assert (found["name"], found["min_score"]) == (GPQA, 50.4)
    assert (found["below_models"], found["unknown_models"]) == (1, 1)
    assert [(each["model"], each["score"] and each["score"]["score"]) for each in found["left_out"]] == [
        ("gpt-4.1-nano", 50.3),
        ("grok-4.7", None),
    ]
    assert {"setting", "date", "source"} < set(found["left_out"][0]["score"])


def test_a_benchmark_alone_leaves_nobody_out_and_says_what_is_known(collector: Collector) -> None:
    shown = collector.get("/compare", since="all", models=ASKED, benchmark=GPQA)
    assert [each["score"] and each["score"]["score"] for each in shown["models"]] == [85.7, 50.3, None]
    assert (shown["benchmark"]["below_models"], shown["benchmark"]["unknown_models"]) == (0, 0)
    plain = collector.get("/compare", since="all", models=ASKED)
    assert (plain["benchmark"], plain["models"][0]["score"]) == (None, None)
    assert GPQA in plain["benchmarks"]


@pytest.mark.parametrize("least", [0, 60, 75])
def test_models_are_chosen_among_those_that_score_enough(collector: Collector, least: int) -> None:
    """Also of 0 per cent a model has to have a score."""
    shown = collector.get("/compare", since="all", benchmark=GPQA, min_score=least)
    offered = [score_of(GPQA, target.model) for target in candidates(default_card())]
    assert shown["benchmark"]["unknown_models"] == offered.count(None)
    assert shown["benchmark"]["below_models"] == sum(each is not None and each.score < least for each in offered)
    assert len(shown["models"]) >= 3
    assert all(each["score"]["score"] >= least for each in shown["models"])


def test_where_no_model_scores_enough_there_is_none_to_compare_with(collector: Collector) -> None:
    """Nobody else is chosen in their place."""
    for chosen in ({"models": ASKED}, {}):
        shown = collector.get("/compare", since="all", benchmark=GPQA, min_score="100", by="agent", **chosen)
        assert (shown["models"], shown["total"]["models"], shown["total"]["cheapest"]) == ([], [], None)
        assert shown["total"]["calls"] == sum(group["calls"] for group in shown["groups"]) > 0


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("min_score=50", "min_score"),
        ("benchmark=GPQA&min_score=101", "min_score"),
        ("benchmark=GPQA&min_score=1e1", "min_score"),
        ("benchmark=gpqa", "benchmark"),
    ],
)
def test_a_wrong_filter_by_score_is_an_error_that_says_what_is_allowed(
    collector: Collector, query: str, where: str
) -> None:
    answer = collector.request("GET", f"/api/v1/compare?{query}")
    error = answer.json()["error"]
    assert (answer.status, error["where"]) == (400, where)
    assert error["allowed"]
