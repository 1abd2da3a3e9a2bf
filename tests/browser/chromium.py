"""A real Chromium on pages of this machine, which watches what a page does: errors, other hosts, accessibility."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

VARIABLE = "OTEL_COST_CHROMIUM"
"""Names the program, where it is not on the path."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_MS = 15_000
"""For what a page is waited for. Shorter: a busy machine looks like a broken page."""
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
DESKTOP, PHONE = (1440, 900), (360, 780)
GRAVE = ("serious", "critical")


def program() -> str | None:
    """The browser's path; None: there is none."""
    return os.environ.get(VARIABLE) or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    expect.set_options(timeout=ANSWER_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Seen:
    """What a page did while it was watched."""

    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Browser, base: str, theme: Theme = "light", size: tuple[int, int] = DESKTOP, refused: str | None = None
) -> Iterator[Page]:
    """A new visitor's page. No request leaves `base`; any that tries, and any error in the console, fails the test.

    `refused`: the status of answers that the test provokes, which the browser reports as errors.
    """
    seen = Seen()
    context = browser.new_context(
        base_url=base,
        color_scheme=theme,
        viewport={"width": size[0], "height": size[1]},
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    _cut_off(context, base, seen)
    page = context.new_page()
    page.set_default_timeout(ANSWER_MS)
    page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    errors = [error for error in seen.errors if refused is None or f"status of {refused}" not in error]
    assert not seen.abroad, seen.abroad
    assert not errors, errors


def _cut_off(context: BrowserContext, base: str, seen: Seen) -> None:
    home = urlsplit(base).netloc

    def answer(route: Route) -> None:
        if urlsplit(route.request.url).netloc == home:
            route.fallback()
        else:
            seen.abroad.append(route.request.url)
            route.abort()

    context.route("**/*", answer)


def grave_issues(page: Page) -> list[tuple[str, str, list[str]]]:
    """Serious and critical findings of axe-core on the page as it is: rule, what it says, where."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        (one["id"], one["help"], [str(node["html"])[:200] for node in one["nodes"]][:5])
        for one in found
        if one["impact"] in GRAVE
    ]


def settle(page: Page) -> None:
    """Wait until every panel has answered and every chart is drawn."""
    page.wait_for_function(
        """() => {
          const bodies = [...document.querySelectorAll('.panel > .body')];
          return !('moving' in document.body.dataset)
            && bodies.length > 0 && bodies.every((body) => body.firstChild && !('asking' in body.dataset))
            && [...document.querySelectorAll('.chart')].every((one) => one.dataset.drawn || one.clientWidth === 0);
        }"""
    )


def enliven(page: Page) -> None:
    """Point at every chart, and wait until it follows the pointer."""
    page.evaluate("() => document.querySelectorAll('.chart').forEach((one) => one.onpointerenter?.())")
    page.wait_for_function(
        """() => [...document.querySelectorAll('.chart')]
          .every((one) => one.querySelector('.js-plotly-plot .main-svg') || one.clientWidth === 0)"""
    )


def too_wide(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    root = "document.documentElement"
    return max(0, int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")))
