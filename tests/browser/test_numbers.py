"""The page writes numbers itself; a real Chromium's own formats say the same."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import opened, settle
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
COMPARED = """
async () => {
  const main = document.querySelector('script[type=module]').src;
  const { change, count, percent, short } = await import(main.replace('page.js', 'lib/format.js'));
  const { usd } = await import(main.replace('page.js', 'lib/money.js'));
  const intl = (options) => new Intl.NumberFormat('en-US', options);
  const whole = intl({ maximumFractionDigits: 0 });
  const compact = intl({ notation: 'compact', maximumSignificantDigits: 3 });
  const ratio = intl({ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const rough = intl({ style: 'percent', maximumFractionDigits: 0 });
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const wrong = [];
  const same = (what, value, ours, theirs) => ours === theirs || wrong.push([what, String(value), ours, theirs]);
  const edges = [0, 1, 999, 1000, 9999, 10000, 99950, 99949, 999499, 999500, 1e6, 9995000, 999.5e6, 1e9, 1e12, 9e14];
  const numbers = [...edges, ...Array.from({ length: 5000 }, () => Math.floor(10 ** (random() * 14)))];
  const dollars = intl({ style: 'currency', currency: 'USD' });
  for (const value of numbers) {
    same('count', value, count(value), whole.format(value));
    same('short', value, short(value), value < 10000 ? whole.format(value) : compact.format(value));
    same('usd', value, usd(BigInt(value) * 10n ** 12n, 2), dollars.format(BigInt(value)));
  }
  const halves = [0, 1, 0.0015, 0.0115, 0.285, 0.0005, 0.99949, 0.9995, 12.345, 1234.5678];
  const shares = [...halves, ...Array.from({ length: 5000 }, random)];
  for (const value of shares) {
    same('percent', value, percent(value), value > 0 && value < 0.001 ? '<0.1%' : ratio.format(value));
    if (value < 9) same('change', value, change(value).slice(2), rough.format(value));
  }
  same('loss', -0.25, percent(-0.25), ratio.format(-0.25));
  return wrong.slice(0, 10);
}
"""


def test_numbers_are_written_as_the_browser_would(browser: Browser, collector: CollectorProcess) -> None:
    """Counts, short counts, shares, changes and dollars of every size, and where rounding goes to another unit. A share
    that would be 0.0% and is not nothing is less than 0.1%, as on the command line."""
    with opened(browser, collector.api_url) as page:
        page.goto("/?view=waste")
        settle(page)
        assert page.evaluate(COMPARED) == []
