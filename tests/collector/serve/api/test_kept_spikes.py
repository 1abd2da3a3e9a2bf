"""Answers about odd days are kept for a while, for those who ask the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from collector.questions.asking import Answered
from collector.questions.selection import Selection
from collector.serve.api.forecasts import forecast_paths
from collector.serve.api.viewing import Viewer
from tests.collector.serve.api.serving import serving


class Counting:
    """Implements `Asking`; notes whose calls each question is about, and finds nothing."""

    def __init__(self) -> None:
        self.questions: list[Selection] = []

    async def answer(
        self, function: Callable[..., Any], *arguments: Any, timeout_seconds: float = 0.0
    ) -> Answered[Any]:
        self.questions.append(arguments[0])
        return Answered((), datetime(2026, 11, 22, tzinfo=UTC), len(self.questions))


def test_odd_days_are_looked_for_once_for_the_same_calls_and_days() -> None:
    """And again for another organisation, filter, time zone or first day."""
    asking = Counting()
    paths = forecast_paths(Viewer(asking, ZoneInfo("UTC")), None)  # type: ignore[arg-type]
    with serving(paths) as ask:
        for _ in range(3):
            assert ask("GET", "/anomalies?since=7d")[1]["spikes"] == []
        assert len(asking.questions) == 1
        ask("GET", "/anomalies?since=7d", X_Org_ID="acme")
        ask("GET", "/anomalies?since=7d", X_Org_ID="globex")
        assert [question.org_id for question in asking.questions] == [None, "acme", "globex"]
        for other in ("since=7d&agent=a", "since=7d&tz=Asia/Tokyo", "since=9d"):
            ask("GET", f"/anomalies?{other}")
        assert len(asking.questions) == 6
