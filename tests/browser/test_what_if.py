"""The same calls on other models, in a real Chromium on a real collector: what is green, and what a phone shows."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import THEMES, Theme, opened, settle, too_wide
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
SMALL_PHONE = (390, 844)
CHEAPER, DEARER = "gpt-5-nano", "claude-opus-5-5"


def compared(collector: CollectorProcess, model: str) -> Any:
    """What the API says of the calls on one model."""
    with urlopen(f"{collector.api_url}/api/v1/compare?by=agent&models={model}", timeout=60) as answer:
        return json.load(answer)


def shown(page: Page, model: str) -> None:
    page.goto(f"/?view=what-if&models={model}")
    settle(page)


def green(page: Page) -> str:
    """The colour of what is good, as the browser computes it."""
    return str(
        page.evaluate(
            """() => {
              const one = document.body.appendChild(Object.assign(document.createElement('i'), { className: 'down' }));
              const found = getComputedStyle(one).color;
              one.remove();
              return found;
            }"""
        )
    )


def is_green(page: Page, cell: Locator) -> bool:
    """Whether any text in it is."""
    return green(page) in cell.evaluate(
        "(cell) => [cell, ...cell.querySelectorAll('*')].map((one) => getComputedStyle(one).color)"
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("model", [CHEAPER, DEARER])
def test_only_what_costs_less_than_was_paid_is_green(
    browser: Browser, collector: CollectorProcess, model: str, theme: Theme
) -> None:
    """The one model of a comparison is the cheapest of it, and may be dearer all the same."""
    answer = compared(collector, model)
    (total,) = answer["total"]["models"]
    saves = Decimal(total["high_usd"]) < Decimal(answer["total"]["cost_usd"])
    assert total["cheapest"]
    assert saves is (model == CHEAPER)
    with opened(browser, collector.api_url, theme) as page:
        shown(page, model)
        row = page.locator("[data-key=compared]").get_by_role("row", name=model)
        assert [is_green(page, cell) for cell in row.locator("td").all()].count(True) == (2 if saves else 0)
        seen = set()
        for group in answer["groups"]:
            (one,) = group["models"]
            row = page.locator("[data-key=compared-by]").get_by_role("row", name=group["value"] or "(none)")
            cheaper = one["cheapest"] and Decimal(one["high_usd"]) < Decimal(group["cost_usd"])
            assert is_green(page, row.locator("td").last) is cheaper, group
            seen.add(cheaper)
        assert (model == CHEAPER) in seen


def test_models_are_filtered_by_their_score_with_the_keyboard_and_the_page_says_whom_it_left_out(
    browser: Browser, collector: CollectorProcess
) -> None:
    with opened(browser, collector.api_url) as page:
        shown(page, "gpt-5,gpt-4.1-nano,grok-4.7")
        panel = page.locator("[data-key=compared]")
        panel.get_by_label("Models that score in").select_option("GPQA Diamond")
        panel.get_by_label("Least score in per cent").fill("60")
        page.keyboard.press("Enter")
        settle(page)
        assert "min_score=60" in page.url
        expect(panel.get_by_role("row", name="gpt-5 openai")).to_contain_text("85.7 %")
        expect(panel.get_by_role("row", name="grok-4.7")).to_have_count(0)
        expect(panel).to_contain_text("1 model below 60 %: gpt-4.1-nano (50.3); 1 model of unknown score")
        page.reload()
        settle(page)
        expect(panel.get_by_label("Least score in per cent")).to_have_value("60")


def test_listed_groups_and_the_rest_add_up_to_the_total_on_screen(
    browser: Browser, collector: CollectorProcess
) -> None:
    """Also where not all of them are listed: the rest is a row of its own, until all are asked for."""
    with opened(browser, collector.api_url) as page:
        page.add_init_script(FEWER_ROWS)
        page.goto("/?view=what-if&by=customer")
        settle(page)
        panel = page.locator("[data-key=compared-by]")
        expect(panel.get_by_role("row", name="Other (")).to_have_count(1)
        assert amounts(panel, "tbody tr") + amounts(panel, "tr.other") == amounts(panel, "tr.total") > 0
        rows = panel.locator("tbody tr").count()
        assert rows == LISTED
        panel.get_by_role("link", name="All", exact=True).click()
        expect(panel.locator("tr.other")).to_have_count(0)
        assert panel.locator("tbody tr").count() > rows
        assert amounts(panel, "tbody tr") == amounts(panel, "tr.total")


LISTED = 7
FEWER_ROWS = f"""
const asked = window.fetch;
window.fetch = (url, ...more) => asked(String(url).replace(/([?&]limit=)50\\b/, '$1{LISTED}'), ...more);
"""
"""The page asks for fewer rows than the demo has customers."""


def amounts(panel: Locator, rows: str) -> Decimal:
    """What was paid, as it is written in rows; "<$0.01" is for the nothing that is left of little."""
    texts = panel.locator(f"{rows} td.cost").all_inner_texts()
    return sum((Decimal(text.replace("$", "").replace(",", "")) for text in texts if text[0] != "<"), Decimal(0))


def hidden_at_the_right(box: Locator) -> int:
    """Pixels of a table's last column that are beyond the right edge of its box."""
    last, edge = box.locator("thead th").last.bounding_box(), box.bounding_box()
    assert last is not None
    assert edge is not None
    return max(0, round(last["x"] + last["width"] - edge["x"] - edge["width"]))


def test_on_a_phone_tables_scroll_in_their_boxes_and_the_note_keeps_off_the_last_row(
    browser: Browser, collector: CollectorProcess
) -> None:
    with opened(browser, collector.api_url, "light", SMALL_PHONE) as page:
        shown(page, f"{CHEAPER},{DEARER}")
        assert too_wide(page) == 0
        for key in ("compared", "compared-by"):
            box = page.locator(f"[data-key={key}] .scroll")
            assert hidden_at_the_right(box) > 0
            box.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
            assert hidden_at_the_right(box) == 0
        table, note = (page.locator(f"[data-key=compared] .body > {one}").bounding_box() for one in (".scroll", "p"))
        assert table is not None
        assert note is not None
        assert note["y"] - (table["y"] + table["height"]) >= 8
