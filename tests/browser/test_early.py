"""What a page asks before its own script is there, in a real Chromium: the questions of its view, each of them once."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import opened, settle
from tests.browser.views import some_run
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
EARLY = {
    "/": 5,
    "/?since=7d&tz=Asia/Tokyo&provider=openai": 5,
    "/?view=breakdown&by=customer&by=model": 1,
    "/?view=models": 2,
    "/?view=runs": 1,
    "/?view=runs&id={run}": 1,
    "/?view=agents": 3,
    "/?view=customers": 3,
    "/?view=forecast": 2,
    "/?view=what-if&since=7d": 1,
    "/?view=waste": 2,
    "/?view=prices": 4,
    "/?view=agents&sort=calls": 0,
}
"""Address -> how many questions are asked early; none where the view has settings that they do not know of."""
COUNTED = """
const asked = window.fetch;
window.questions = [];
window.fetch = (url, ...more) => {
  if (!document.body) window.questions.push(url);
  return asked(url, ...more);
};
"""
"""Notes what is asked while the browser reads the head."""


@pytest.mark.parametrize("address", EARLY)
def test_what_is_asked_early_is_what_the_view_asks_and_nothing_is_asked_twice(
    browser: Browser, collector: CollectorProcess, address: str
) -> None:
    with opened(browser, collector.api_url) as page:
        asked: Counter[str] = Counter()
        page.on("request", lambda request: asked.update([request.url]) if "/api/" in request.url else None)
        page.add_init_script(COUNTED)
        page.goto(address.replace("{run}", some_run(collector)))
        settle(page)
        early = page.evaluate("window.questions")
        assert len(early) == EARLY[address]
        assert page.evaluate("window.earlyAnswers?.size ?? 0") == 0, "asked for nothing"
        assert [url for url, times in asked.items() if times > 1 and "/stream" not in url] == []
        assert set(early) <= {one.removeprefix(collector.api_url) for one in asked}
