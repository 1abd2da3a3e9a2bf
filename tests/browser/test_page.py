"""The page in a real Chromium on a real collector, cut off from every other host."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE, THEMES, Theme, enliven, grave_issues, opened, settle, too_wide
from tests.browser.spans import send_call
from tests.browser.views import FILTER_KEYS, VIEWS, some_run
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
HEARD = """() => new Promise((heard) => {
  new EventSource("/api/v1/stream").addEventListener("changed", () => setTimeout(heard, 100));
})"""
"""Until a page that listened before has heard where the ledger stands, and has begun to ask if it does."""
HOSTILE = "<img src=x onerror=\"document.title='run'\"> <a href='javascript:1'>&lt;b&gt;"


def query(page: Page) -> dict[str, list[str]]:
    """What the address says."""
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", THEMES)
def test_every_view_is_shown_and_is_accessible(
    browser: Browser, collector: CollectorProcess, theme: Theme, size: tuple[int, int]
) -> None:
    """In light and dark, on a desktop and a phone: no error, no other host asked, nothing serious found by axe-core,
    and nothing wider than the window."""
    run = some_run(collector)
    with opened(browser, collector.api_url, theme, size) as page:
        for name, address in VIEWS.items():
            page.goto(address.replace("{run}", run))
            settle(page)
            enliven(page)
            assert page.locator(".failure").count() == 0, name
            assert grave_issues(page) == [], name
            assert too_wide(page) == 0, name


def test_a_failure_of_the_test_is_seen(browser: Browser, collector: CollectorProcess) -> None:
    """A page that asks another host does not pass."""

    def ask_another_host() -> None:
        with opened(browser, collector.api_url) as page:
            page.goto("/")
            page.evaluate("fetch('http://127.0.0.2:1/').catch(() => 0)")

    with pytest.raises(AssertionError):
        ask_another_host()


def test_every_filter_narrows_and_back_undoes_it(browser: Browser, collector: CollectorProcess) -> None:
    """Each of the twelve filters is offered, and its first value goes into the address and out again with "back"."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=breakdown&by=model")
        settle(page)
        for key in FILTER_KEYS:
            page.locator("[data-key=add-filter] > summary").click()
            keys = page.locator(".key-list button")
            keys.nth(FILTER_KEYS_SHOWN.index(key)).click()
            values = page.locator("[data-key=add-filter] .value-list")
            expect(values.locator(".value, p").first).to_be_visible()
            first = values.locator("input").first
            if first.count():
                first.check()
                page.wait_for_url(re.compile(rf"[?&]{key}="))
                page.keyboard.press("Escape")
                settle(page)
                assert page.locator(".failure").count() == 0, key
                expect(page.locator(f"[data-key=chip-{key}]")).to_be_visible()
                page.go_back()
                expect(page.locator(f"[data-key=chip-{key}]")).to_have_count(0)
            else:
                page.keyboard.press("Escape")
        assert query(page) == {"view": ["breakdown"], "by": ["model"]}


FILTER_KEYS_SHOWN = FILTER_KEYS
"""The order of the buttons."""


def test_the_state_is_in_the_address(browser: Browser, collector: CollectorProcess) -> None:
    """Another visitor who opens the address sees the same table."""
    with opened(browser, collector.api_url) as page:
        page.goto("/")
        settle(page)
        page.locator("[data-key=times] > summary").click()
        page.get_by_role("button", name="Last 7 days").click()
        page.locator("[data-key=times] > summary").click()
        page.locator("select[name=tz]").select_option("Asia/Tokyo")
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Breakdown").click()
        settle(page)
        page.get_by_role("button", name="Calls").click()
        settle(page)
        address, shown = page.url, page.locator("table").inner_text()
        assert query(page) == {"view": ["breakdown"], "since": ["7d"], "tz": ["Asia/Tokyo"], "sort": ["calls"]}
    with opened(browser, collector.api_url, "dark") as other:
        other.goto(address)
        settle(other)
        assert other.locator("table").inner_text() == shown
        expect(other.locator("th[aria-sort=descending]")).to_have_text("Calls↓")


def test_a_click_on_a_row_filters_and_a_saved_view_brings_it_back(
    browser: Browser, collector: CollectorProcess
) -> None:
    """Saved views are kept by the browser."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=breakdown&by=agent")
        settle(page)
        page.locator("tbody th a").first.click()
        settle(page)
        filtered = query(page)
        assert list(filtered) == ["view", "agent", "by"]
        page.locator("[data-key=saved] > summary").click()
        page.get_by_label("Name of this view").fill("mine")
        page.get_by_role("button", name="Save", exact=True).click()
        page.goto("/")
        settle(page)
        page.locator("[data-key=saved] > summary").click()
        page.get_by_role("link", name="mine").click()
        settle(page)
        assert query(page) == filtered


@pytest.mark.parametrize("by", ["agent", "customer", "model", "operation"])
def test_what_is_shown_adds_up(browser: Browser, collector: CollectorProcess, by: str) -> None:
    """Rows and "other", as they are written in the table, are the total that is written below them: cost and calls."""
    with opened(browser, collector.api_url) as page:
        for address in (f"/?view=breakdown&by={by}", "/?"):
            page.goto(address)
            settle(page)
            for shown in page.locator("table:has(tfoot)").all():
                rows = shown.locator("tbody tr, tfoot tr.other")
                costs = rows.locator(".cost .money").all_inner_texts()
                total = shown.locator("tfoot tr.total .cost .money").inner_text()
                assert sum(map(dollars, costs)) == dollars(total), (address, shown.inner_text())
                calls = rows.locator("td.calls").all_inner_texts()
                assert sum(map(whole, calls)) == whole(shown.locator("tfoot tr.total td.calls").inner_text()), address


def whole(text: str) -> int:
    """A count, as it is written."""
    return int(text.replace(",", ""))


def dollars(text: str) -> Decimal:
    """As it is written; what is too little for the column counts nothing there."""
    assert re.fullmatch(r"<?\$[\d,]+\.\d+", text), text
    return Decimal(0) if text.startswith("<") else Decimal(text.replace("$", "").replace(",", ""))


def test_a_new_call_shows_without_a_reload(browser: Browser, empty_collector: CollectorProcess) -> None:
    """The empty ledger says how to send the first span; the first span then takes its place, names of apps as text."""
    with opened(browser, empty_collector.api_url) as page:
        page.goto("/")
        expect(page.get_by_text("The ledger is empty")).to_be_visible()
        assert grave_issues(page) == []
        send_call(empty_collector, HOSTILE)
        expect(page.locator("dl.tiles .big").first).to_have_text("$2.50")
        expect(page.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
        expect(page).to_have_title("Overview · otel-cost")
        page.goto("/?view=breakdown&by=agent")
        settle(page)
        expect(page.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
        page.goto("/?by=agent")
        settle(page)
        expect(page.locator(".legend a")).to_have_text(HOSTILE)
        page.goto("/?view=breakdown&by=customer")
        expect(page.get_by_text("No call says its customer")).to_be_visible()


def test_what_a_page_has_just_asked_is_not_asked_again_when_it_begins_to_listen(
    browser: Browser, empty_collector: CollectorProcess
) -> None:
    """However new the publication is that it is told of; of the next one it does ask."""
    with opened(browser, empty_collector.api_url) as page:
        page.goto("/")
        send_call(empty_collector, "first")
        expect(page.get_by_role("rowheader", name="first")).to_be_visible()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        with page.expect_response(lambda answer: answer.url.endswith("/stream")):
            page.goto("/?view=breakdown&by=agent")
        page.evaluate(HEARD)
        settle(page)
        assert asked.count("/api/v1/breakdown") == 1
        send_call(empty_collector, "second")
        expect(page.get_by_role("rowheader", name="second")).to_be_visible()
        assert asked.count("/api/v1/breakdown") > 1


def test_the_rows_of_a_chart_are_made_for_whoever_opens_them(browser: Browser, collector: CollectorProcess) -> None:
    """They say what the chart says, and follow what is chosen."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?bucket=month&since=365d")
        settle(page)
        rows = page.locator(".as-table tbody tr")
        assert rows.count() == 0
        page.get_by_text("Show as table").click()
        expect(rows.first).to_be_visible()
        months = rows.count()
        assert grave_issues(page) == []
        page.locator("select[name=bucket]").select_option("week")
        expect(rows.nth(months)).to_be_visible()


def test_an_error_of_the_api_is_shown_in_its_own_words(browser: Browser, collector: CollectorProcess) -> None:
    """What is wrong, where, and what is allowed."""
    with opened(browser, collector.api_url, refused="400") as page:
        page.goto("/?view=breakdown&since=yesteryear")
        expect(page.locator(".failure")).to_contain_text("since")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_keys_alone_are_enough(browser: Browser, collector: CollectorProcess) -> None:
    """Skip link, menu with Escape, and sorting, without a pointer."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=breakdown")
        settle(page)
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to content")
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.locator("[data-key=add-filter] > summary").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Environment")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("[data-key=add-filter] > summary")).to_be_focused()
        page.get_by_role("button", name="Tokens").focus()
        page.keyboard.press("Enter")
        settle(page)
        expect(page.get_by_role("button", name="Tokens")).to_be_focused()
        assert query(page)["sort"] == ["tokens"]


def test_a_token_is_asked_for_where_the_api_wants_one(browser: Browser, tmp_path: Path) -> None:
    """The address is kept through the login; signing out asks again."""
    api = ", tokens: [{name: ann, token: a-token-that-is-long-enough, role: viewer}]"
    with (
        CollectorProcess(tmp_path, has_api=True, api=api) as guarded,
        opened(browser, guarded.api_url, refused="401") as page,
    ):
        page.goto("/?view=models&since=7d")
        page.get_by_label("API token or JWT").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).not_to_be_empty()
        page.get_by_label("API token or JWT").fill("a-token-that-is-long-enough")
        page.get_by_role("button", name="Sign in").click()
        settle(page)
        assert query(page) == {"view": ["models"], "since": ["7d"]}
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API token or JWT")).to_be_visible()


def test_money_on_the_page_is_exact(browser: Browser, collector: CollectorProcess) -> None:
    """Amounts go through the page's arithmetic as whole pico-dollars; what a column shows adds up to its total."""
    chance = random.Random(7)
    columns = [
        [chance.randrange(10 ** chance.randint(1, 18)) for _ in range(chance.randint(1, 40))] for _ in range(200)
    ]
    with opened(browser, collector.api_url) as page:
        page.goto("/")
        settle(page)
        for column in columns:
            texts, total = [pico_text(amount) for amount in column], pico_text(sum(column))
            for digits in (2, 4, 6):
                exact, shown, whole = page.evaluate(MONEY, [texts, total, digits])
                assert [Decimal(text) for text in exact] == [Decimal(text) for text in texts]
                assert sum(map(Decimal, shown)) == Decimal(whole)
                step = Decimal(1).scaleb(-digits)
                assert all(abs(Decimal(one) - Decimal(text)) < step for one, text in zip(shown, texts, strict=True))


def pico_text(amount: int) -> str:
    """As the API writes it."""
    return f"{Decimal(amount).scaleb(-12):.12f}"


MONEY = """
async ([texts, total, digits]) => {
  const main = document.querySelector('script[type=module]').src;
  const { apportioned, exact, parse, usd } = await import(main.replace('page.js', 'lib/money.js'));
  const plain = (text) => text.replace(/[$,]/g, '');
  const amounts = texts.map(parse);
  const shown = apportioned(amounts, parse(total), digits).map((amount) => plain(usd(amount, digits)));
  const whole = usd(parse(total), digits);
  return [amounts.map((amount) => plain(exact(amount))), shown, whole.startsWith('<') ? '0' : plain(whole)];
}
"""
"""Runs in the page: what it makes of amounts."""
