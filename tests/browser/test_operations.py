"""What people who run a collector do at the page: letters that did not arrive, price runs, another organisation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jwt
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chromium import grave_issues, opened, settle
from tests.browser.spans import send_call
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
ISSUER, SECRET = "https://login.example.com/", "s" * 32
OWN_MODEL = "house-llm"


class Hook:
    """Somebody's webhook, which refuses for good until it is mended."""

    def __init__(self) -> None:
        hook = self
        self.is_mended = False
        self.taken = 0

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                hook.taken += hook.is_mended
                self.send_response(204 if hook.is_mended else 410)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: its refusals are part of the test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/costs"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """For one test."""
    made = Hook()
    yield made
    made.close()


def test_a_message_that_did_not_arrive_is_seen_and_sent_again(browser: Browser, tmp_path: Path, hook: Hook) -> None:
    """With its reason; once the receiver is mended, one press delivers it. Budgets' news show by themselves."""
    budget = f"""
  budget:
    channels: {{webhook: {{url: "{hook.url}", secret: {"s" * 16}}}}}
    rules: [{{name: tight, scope: agent, limit: 1 USD/day, on_warn: [notify], on_exceed: [webhook]}}]
"""
    with (
        CollectorProcess(tmp_path, processors=budget, has_api=True) as collector,
        opened(browser, collector.api_url) as page,
    ):
        page.goto("/?view=budgets")
        expect(page.get_by_text("All messages were delivered.")).to_be_visible()
        expect(page.locator("button.live")).to_have_class("live live")
        send_call(collector, "spender")
        notices = page.locator(".notice")
        expect(notices.filter(has_text="Budget tight, spender: 80% of the limit is used")).to_be_visible()
        expect(notices.filter(has_text="Budget tight, spender: the limit is used up")).to_be_visible()
        letters = page.locator("[data-key=deliveries] li")
        expect(letters).to_have_count(1)
        expect(letters).to_contain_text("about tight, spender")
        expect(letters).to_contain_text("410")
        assert grave_issues(page) == []
        hook.is_mended = True
        letters.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("All messages were delivered.")).to_be_visible()
        expect(letters).to_have_count(0)
    assert hook.taken == 1


def test_a_price_run_shows_by_itself_and_so_does_its_end(browser: Browser, tmp_path: Path) -> None:
    """A model gets a price, its calls are priced again, and that is taken back: the open page follows."""
    priced = f"""
  cost:
    prices: [{{name: house, provider: vllm, model: {OWN_MODEL}, rates: {{input_tokens: 2.00, output_tokens: 4.00}}}}]
"""
    with CollectorProcess(tmp_path, has_api=True) as before:
        send_call(before, "reader", provider="vllm", model=OWN_MODEL)
    with (
        CollectorProcess(tmp_path, processors=priced, has_api=True) as collector,
        opened(browser, collector.api_url) as page,
    ):
        page.goto("/?view=prices")
        without = page.locator("[data-key=unpriced]")
        expect(without.get_by_role("rowheader", name=OWN_MODEL)).to_be_visible()
        expect(page.get_by_text("none was priced again")).to_be_visible()
        again = ("reprice", "--since", "all", "--db", str(collector.database))
        run = collector.command(*again, "--apply", "--name", "house-prices")
        assert run.returncode == 0, run.stderr
        runs = page.locator("[data-key=runs] tbody tr")
        expect(runs).to_have_count(1)
        expect(runs).to_contain_text("house-prices")
        expect(runs).to_contain_text("$2.00")
        expect(without).to_contain_text("Every call has a price.")
        assert grave_issues(page) == []
        undone = collector.command("reprice", "undo", "house-prices", "--db", str(collector.database))
        assert undone.returncode == 0, undone.stderr
        expect(runs).to_contain_text("taken back")
        expect(without.get_by_role("rowheader", name=OWN_MODEL)).to_be_visible()


def test_who_may_see_several_organisations_turns_from_one_to_the_other(browser: Browser, tmp_path: Path) -> None:
    """The login asks which; the head of the page changes it, and every figure with it."""
    api = f", auth: {{jwt: {{issuer: {ISSUER!r}, audience: otel-cost, secret: {SECRET}}}}}"
    serving = CollectorProcess(tmp_path, has_api=True, api=api)
    made = ("demo", "--days", "3", "--calls-per-day", "40", "--organization", "acme", "--organization", "globex")
    assert serving.command(*made, "--db", str(serving.database)).returncode == 0
    said = {
        "iss": ISSUER,
        "aud": "otel-cost",
        "exp": int(time.time()) + 600,
        "sub": "ann",
        "org_id": ["acme", "globex"],
    }
    with serving, opened(browser, serving.api_url, refused="40") as page:
        page.goto("/?view=breakdown&by=agent&since=all")
        page.get_by_label("API token or JWT").fill(jwt.encode(said, SECRET, "HS256"))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Organization").select_option("globex")
        page.get_by_role("button", name="Sign in").click()
        chosen = page.locator("#top").get_by_label("Organization")
        expect(chosen).to_have_value("globex")
        settle(page)
        seen = {"globex": page.locator("tfoot .total").inner_text()}
        assert grave_issues(page) == []
        with page.expect_navigation():
            chosen.select_option("acme")
        expect(chosen).to_have_value("acme")
        settle(page)
        seen["acme"] = page.locator("tfoot .total").inner_text()
        assert seen["acme"] != seen["globex"]
        assert page.url.endswith("/?view=breakdown&since=all&by=agent")
