"""The page in a real browser, over a ledger of ten million spans that takes in more meanwhile.

    python -m benchmarks.page [--rows N] [--rounds N] [--rate SPANS_PER_SECOND] [--window SECONDS] [--only NAME]
                             [--json]

The ledger is that of `benchmarks.views`. Each view is opened as a new visitor does, in an empty window of a browser
that has nothing of the page yet, and by a click within the page: until the first paint, until every panel shows its
figures, and what the browser's main thread and the collector worked meanwhile. Browser, collector and generator share
the machine. A round before the first is not counted: sums are made in it. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.ingest import processes
from benchmarks.ingest.drive import Drive, GeneratorError
from benchmarks.ingest.report import machine
from benchmarks.ingest.tables import plain, target_table
from benchmarks.ingest.targets import Target
from benchmarks.ingest.trials import say
from benchmarks.served import Served, a_year, parser, plan, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FILLED_MS, PAINT_MS = 1_000.0, 1_000.0
GIVEN_UP_MS = 30_000
LONGEST_SECONDS = 3_600.0
BETWEEN_SECONDS = 0.3
"""After a view is filled, before the next is opened: a person looks longer."""
WINDOW_SECONDS = 1.0
"""After an empty window is opened, before the page is: so long the browser draws itself, in processes of its own. With
`--window 0` the page is opened in the same moment, and shares the machine with the browser's own start."""
VIEWS: Mapping[str, str] = {
    "overview": "/",
    "breakdown": "/?view=breakdown&by=agent",
    "models": "/?view=models",
    "runs": "/?view=runs",
    "one run": "/?view=runs&id={run}",
    "agents": "/?view=agents",
    "customers": "/?view=customers",
    "budgets": "/?view=budgets",
    "forecast": "/?view=forecast",
    "what if": "/?view=what-if&since=7d",
    "waste": "/?view=waste",
    "prices": "/?view=prices",
}
"""Name -> address; {run} stands for a run of the ledger."""
CLICKS: Mapping[str, str] = {
    "breakdown, sorted by calls": "thead .sort:has-text('Calls')",
    "breakdown, of one agent": "tbody th a",
    "breakdown, of 7 days": ".presets button:has-text('Last 7 days')",
}
"""Name -> what is pressed in the breakdown, one after another."""
WATCH = """
let isDue = false;
const look = () => {
  isDue = false;
  const bodies = [...document.querySelectorAll(".panel > .body")];
  const charts = [...document.querySelectorAll(".chart")];
  const isWhole = document.body && !("moving" in document.body.dataset) && bodies.length > 0
    && bodies.every((body) => body.firstChild) && charts.every((one) => one.dataset.drawn || one.clientWidth === 0);
  if (!isWhole || window.filled !== undefined) return;
  window.filled = performance.now();
  window.whenFilled?.(window.filled);
};
const soon = () => {
  if (!isDue) requestAnimationFrame(look);
  isDue = true;
};
addEventListener("click", (event) => { window.began = event.timeStamp; window.filled = undefined; soon(); }, true);
new MutationObserver(soon).observe(document, { subtree: true, childList: true, attributes: true });
"""
"""Notes the frame in which nothing of the view is missing any more. It looks when something has changed: who asks for a
frame again and again has all processes of the browser draw."""
FILLED = """(most) => window.filled ?? Promise.race([
  new Promise((filled) => { window.whenFilled = filled; }), new Promise((late) => setTimeout(late, most, null)),
])"""

LINK = "(to) => document.body.append(Object.assign(document.createElement('a'), { href: to, id: 'there' }))"


@dataclass(slots=True)
class Took:
    """What one view took, over the rounds."""

    paint_ms: list[float] = field(default_factory=list)
    filled_ms: list[float] = field(default_factory=list)
    busy_ms: list[float] = field(default_factory=list)  # CPU of the browser's main thread, until filled
    server_ms: list[float] = field(default_factory=list)  # CPU of the collector's processes, ingest included


class Visits:
    """One browser's visits to a collector's page."""

    def __init__(self, browser: Browser, base: str, run: str, server_pid: int, window_seconds: float) -> None:
        self._browser = browser
        self._window_seconds = window_seconds
        self._server_pid = server_pid
        self._base = base
        self._addresses = {name: address.replace("{run}", run) for name, address in VIEWS.items()}
        self.cold: dict[str, Took] = defaultdict(Took)
        self.clicked: dict[str, Took] = defaultdict(Took)
        self.errors: list[str] = []

    def round(self, only: str | None = None) -> None:
        """Every view once as a new visitor, and once by a click."""
        chosen = {name: address for name, address in self._addresses.items() if only in (None, name)}
        for name, address in chosen.items():
            with self._opened() as page:
                self._arrive(page, name, address)
        with self._opened() as page:
            self._arrive(page, "overview", "/", is_noted=False)
            for name, address in chosen.items():
                self._follow(page, name, address)
                time.sleep(BETWEEN_SECONDS)
            self._press_all(page)

    def forget(self) -> None:
        """What was seen so far does not count."""
        self.cold.clear()
        self.clicked.clear()

    @contextmanager
    def _opened(self) -> Iterator[Page]:
        context = self._browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(GIVEN_UP_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)[:200]))
        self._session = context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        time.sleep(self._window_seconds)
        try:
            yield page
        finally:
            context.close()

    def _arrive(self, page: Page, name: str, address: str, *, is_noted: bool = True) -> None:
        server_ms = self._server_ms()
        page.goto(self._base + address, wait_until="commit")
        filled_ms = self._filled(page, name)
        if not is_noted or filled_ms is None:
            return
        paints = page.evaluate("performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)")
        self.cold[name].paint_ms += paints
        self.cold[name].filled_ms.append(filled_ms)
        self.cold[name].busy_ms.append(self._busy_ms())
        self.cold[name].server_ms.append(self._server_ms() - server_ms)

    def _follow(self, page: Page, name: str, address: str) -> None:
        """A link of the page is put where a person would press it."""
        page.evaluate(LINK, address[1:] if len(address) > 1 else "?")
        if name == "overview":  # the page that is open: anything else first
            page.evaluate("history.pushState(null, '', '?view=none'); dispatchEvent(new PopStateEvent('popstate'))")
        self._pressed(page, name, "#there")
        page.evaluate("document.getElementById('there').remove()")

    def _press_all(self, page: Page) -> None:
        self._follow_quietly(page)
        for name, selector in CLICKS.items():
            if selector.startswith(".presets"):
                page.locator("[data-key=times] > summary").click()
                page.wait_for_selector(selector)
            self._pressed(page, name, selector)
            time.sleep(BETWEEN_SECONDS)

    def _follow_quietly(self, page: Page) -> None:
        page.goto(self._base + self._addresses["breakdown"], wait_until="commit")
        self._filled(page, "breakdown")

    def _pressed(self, page: Page, name: str, selector: str) -> None:
        before, server_ms = self._busy_ms(), self._server_ms()
        page.eval_on_selector(selector, "(one) => one.click()")
        filled_ms = self._filled(page, name)
        if filled_ms is not None:
            self.clicked[name].filled_ms.append(filled_ms - float(page.evaluate("window.began")))
            self.clicked[name].busy_ms.append(self._busy_ms() - before)
            self.clicked[name].server_ms.append(self._server_ms() - server_ms)

    def _server_ms(self) -> float:
        return processes.cpu_seconds(self._server_pid) * 1e3

    def _busy_ms(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration")) * 1e3

    def _filled(self, page: Page, name: str) -> float | None:
        filled_ms = page.evaluate(FILLED, GIVEN_UP_MS)
        if filled_ms is None:
            self.errors.append(f"{name}: not filled after {GIVEN_UP_MS} ms")
            return None
        return float(filled_ms)


@contextmanager
def _loaded(server: Served, rate: float) -> Iterator[None]:
    """Spans come meanwhile; none at a rate of 0."""
    if rate <= 0:
        yield
        return
    drive = Drive(plan(server, rate, LONGEST_SECONDS))
    drive.__enter__()
    Thread(target=_send, args=(drive,), daemon=True).start()
    try:
        yield
    finally:
        drive.__exit__(KeyboardInterrupt, None, None)  # it is killed: there is no end to wait for


def _send(drive: Drive) -> None:
    with suppress(GeneratorError, ValueError):
        drive.run()


def measured(said: argparse.Namespace) -> Visits:
    """Visit every view for some rounds."""
    with serving(Served, a_year(said.rows)) as server:
        runs = "SELECT run FROM calls WHERE seq >= (SELECT max(seq) - 1000 FROM spans) LIMIT 1"
        run = str(server.query(runs)[0][0])
        with sync_playwright() as playwright, _loaded(server, said.rate):
            browser = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
            visits = Visits(browser, f"http://127.0.0.1:{server.api_port}", run, server.pid, said.window)
            visits.round(said.only)
            visits.forget()
            for _ in range(said.rounds):
                visits.round(said.only)
            browser.close()
        return visits


def _program() -> str:
    found = os.environ.get("OTEL_COST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise SystemExit("no Chromium is installed; OTEL_COST_CHROMIUM names one")
    return found


def targets(visits: Visits) -> list[Target]:
    """What is asked of the page."""

    def slowest(found: Mapping[str, Took], key: str) -> float | None:
        took = [float(np.percentile(values, 95)) for one in found.values() if (values := getattr(one, key))]
        return max(took, default=None)

    return [
        Target("slowest first paint p95 ms", slowest(visits.cold, "paint_ms"), PAINT_MS),
        Target("slowest view opened cold p95 ms", slowest(visits.cold, "filled_ms"), FILLED_MS),
        Target("slowest view by a click p95 ms", slowest(visits.clicked, "filled_ms"), FILLED_MS),
        Target("errors in the page", len(visits.errors), 0),
    ]


def text(visits: Visits, found: Sequence[Target]) -> str:
    """The summary."""

    def of(values: list[float], percent: float) -> str:
        return f"{np.percentile(values, percent):,.0f}" if values else ""

    def line(name: str) -> list[str]:
        cold, clicked = visits.cold[name], visits.clicked[name]
        paint, filled = of(cold.paint_ms, 50), cold.filled_ms
        by_click = clicked.filled_ms
        figures = [paint, of(filled, 50), of(filled, 95), of(cold.busy_ms, 50), of(cold.server_ms, 50)]
        return [name, *figures, of(by_click, 50), of(by_click, 95), of(clicked.busy_ms, 50), of(clicked.server_ms, 50)]

    head = ["view", "paint p50", "filled p50", "p95", "page CPU", "server CPU", "click p50", "p95", "page CPU"]
    head.append("server CPU")
    return "\n".join(
        [
            "  ".join(f"{name}: {value}" for name, value in machine().items()),
            "",
            *plain(head, [line(name) for name in dict.fromkeys([*visits.cold, *visits.clicked])]),
            *visits.errors[:20],
            "",
            *target_table(found),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    wanted = parser("page", __doc__, 5_000.0)
    wanted.add_argument("--rounds", type=int, default=7, help="how often each view is opened (default 7)")
    wanted.add_argument("--window", type=float, default=WINDOW_SECONDS, help="s from an empty window to its page (1.0)")
    wanted.add_argument("--only", choices=list(VIEWS), help="one view")
    said = wanted.parse_args(arguments)
    visits = measured(said)
    found = targets(visits)
    raw: dict[str, Any] = {"machine": machine(), "errors": visits.errors}
    for how in ("cold", "clicked"):
        raw[how] = {
            name: {key: getattr(took, key) for key in ("paint_ms", "filled_ms", "busy_ms", "server_ms")}
            for name, took in getattr(visits, how).items()
        }
    raw["targets"] = [one.to_json() for one in found]
    say("")
    print(json.dumps(raw, indent=1) if said.json else text(visits, found))
    return 0 if all(one.held is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
