"""What customers pay beside what they cost, in a real Chromium on a real collector."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.chromium import opened, settle
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


def test_margins_add_up_a_loss_stands_out_and_unknown_revenue_is_no_amount(
    browser: Browser, collector: CollectorProcess
) -> None:
    """The row above the total has the sums of those whose revenue the config says, to the last digit."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=customers")
        settle(page)
        shown = page.locator("[data-key=customers] table")
        heads = shown.locator("thead th").all_inner_texts()
        at = {name: heads.index(name) for name in ("Revenue", "Margin", "Margin %")}

        def cell(row: Locator, name: str) -> Locator:
            return row.locator("th, td").nth(at[name])

        rows = {name: shown.get_by_role("row").filter(has_text=name) for name in ("acme", "globex", "tyrell")}
        known = shown.locator("tfoot .known")
        expect(known.locator("th")).to_have_text("Of these, with revenue (2)")
        for name in ("Revenue", "Margin"):
            parts = [amount(cell(rows[customer], name)) for customer in ("acme", "globex")]
            assert sum(parts) == amount(cell(known, name))
        assert amount(cell(rows["globex"], "Margin")) < 0 < amount(cell(rows["acme"], "Margin"))
        expect(cell(rows["globex"], "Margin").locator("span.bad")).to_be_visible()
        expect(cell(rows["acme"], "Margin").locator("span.bad")).to_have_count(0)
        assert {cell(rows["tyrell"], name).inner_text() for name in at} == {"–"}
        expect(page.locator("[data-key=Margin]")).to_contain_text("1 cost more than they pay")


def test_customers_are_sorted_by_margin_with_the_keyboard_and_the_file_has_that_order(
    browser: Browser, collector: CollectorProcess
) -> None:
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=customers")
        settle(page)
        head = page.locator("[data-key=customers]").get_by_role("columnheader", name="Margin", exact=True)
        head.get_by_role("button").press("Enter")
        settle(page)
        assert "sort=margin" in page.url
        expect(head).to_have_attribute("aria-sort", "ascending")
        names = page.locator("[data-key=customers] tbody th").all_inner_texts()
        assert names[:2] == ["globex", "acme"]
        with page.expect_download() as download:
            page.locator("[data-key=customers]").get_by_role("link", name="CSV").click()
        lines = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
        assert [line["customer"] for line in lines[:2]] == names[:2]
        assert [Decimal(line["margin_usd"]) < 0 for line in lines[:2]] == [True, False]


def amount(cell: Locator) -> Decimal:
    """All of its digits."""
    return Decimal(cell.locator("data.money").get_attribute("value") or "")


def test_margins_are_not_shown_of_a_part_of_the_costs_and_the_page_says_what_is_missing(
    browser: Browser, collector: CollectorProcess
) -> None:
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=customers&model=gpt-4o")
        settle(page)
        expect(page.get_by_text("extensions.api.revenue")).to_be_visible()
        expect(page.get_by_role("columnheader", name="Margin")).to_have_count(0)
