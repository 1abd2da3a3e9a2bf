"""A small collector over real HTTP: one budget with a limit, and the words of docs/budgets-protocol.md."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from otel_cost.pricing.money import format_usd, pico_usd

_Body = dict[str, Any]


@dataclass(slots=True)
class Budget:
    """A budget in dollars for each value of `match_on`, and what was asked of it."""

    limit_usd: str | None = None  # None: no hard budget is for any call
    calls_per_lease: int = 10
    match_on: tuple[str, ...] = ("customer",)
    unreachable: str = "open"
    closed: tuple[_Body, ...] = ()  # rules, as an answer names them
    expires_in_seconds: float = 30.0
    revision: str = "1"  # of the rules
    answer: Callable[[_Body], _Body | None] = lambda _: None  # another answer to a claim
    status: int = 200
    url: str = ""
    asked: list[tuple[str, _Body]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    settled: dict[str, dict[int, _Body]] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)  # what is out, in pico-USD
    released: set[str] = field(default_factory=set)
    jobs: dict[str, list[str]] = field(default_factory=dict)  # what is held for each, by lease
    read: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, what: str, body: _Body) -> _Body:
        """The answer to one request."""
        with self.lock:
            self.asked.append((what, body))
            if what == "settle":
                return self._settle(body)
            if what == "release":
                if "job" in body:
                    self.read.append(body["job"])
                    return {"job": body["job"], "known": body["job"] in self.jobs}
                self._release(body)
                return {"lease": body["lease"], "known": True}
            if what == "check":
                return {**self._head(), **(self.answer(body) or self._checked(body))}
            for settle in body.get("settle", ()):
                self._settle(settle)
            for release in body.get("release", ()):
                self._release(release)
            return {**self._head(), **(self.answer(body) or self._lease(body))}

    @property
    def spent_pico_usd(self) -> int:
        """What settled calls cost."""
        calls = [call for of_lease in self.settled.values() for call in of_lease.values()]
        return sum(pico_usd(call["usd"] or call["reserved"]["usd"]) for call in calls)

    def claims(self) -> list[_Body]:
        """All claims so far."""
        return [body for what, body in self.asked if what == "lease"]

    def calls(self) -> list[_Body]:
        """All settled calls so far."""
        return [call for of_lease in self.settled.values() for call in of_lease.values()]

    def _head(self) -> _Body:
        head = {"rules_revision": self.revision, "unreachable": self.unreachable, "match_on": list(self.match_on)}
        return {**head, "closed": list(self.closed)}

    def _lease(self, body: _Body) -> _Body:
        lease: _Body = {"id": f"L{len(self.asked)}", "expires_in_seconds": self.expires_in_seconds, "grants": []}
        if self.limit_usd is None:
            return {"decision": "allow", "lease": lease}
        each = pico_usd(body["estimate"]["usd"] or "0")
        limit = pico_usd(self.limit_usd)
        left = limit - self.spent_pico_usd - sum(self.leases.values())
        if each > left:
            return {"decision": "block", "refusal": self.refusal("block")}
        amount = min(left, each * min(self.calls_per_lease, body.get("calls", self.calls_per_lease)))
        self.leases[lease["id"]] = amount
        grant = {"rule": "cap", "scope_value": "acme", "unit": "USD"}
        lease["grants"] = [{**grant, "amount": format_usd(amount), "each": format_usd(each)}]
        return {"decision": "allow", "lease": lease}

    def _checked(self, body: _Body) -> _Body:
        fits = self.limit_usd is None or pico_usd(body["estimate"]["usd"] or "0") <= pico_usd(self.limit_usd)
        return {"decision": "allow"} if fits else {"decision": "block", "refusal": self.refusal("block")}

    def refusal(self, decision: str, **other: Any) -> _Body:
        """Why not."""
        return {
            "decision": decision,
            "rule": "cap",
            "scope_value": "acme",
            "unit": "USD",
            "limit": self.limit_usd or "0",
            "spent": format_usd(self.spent_pico_usd),
            "leased": "0",
            "resets_at": "2026-12-01T00:00:00Z",
            "ticket": None,
            "model": None,
            "retry_after_seconds": None,
            **other,
        }

    def _release(self, body: _Body) -> None:
        self.released.add(body["lease"])
        settled = self.settled.get(body["lease"], {})
        in_flight = [call for call in body.get("in_flight", ()) if call["call"] not in settled]
        self.leases[body["lease"]] = sum(pico_usd(call["reserved"]["usd"]) for call in in_flight)

    def _settle(self, body: _Body) -> _Body:
        lease = body["lease"]
        if "job" in body:
            self.jobs.setdefault(body["job"], []).append(lease)
        for call in body["calls"]:
            if self.settled.setdefault(lease, {}).setdefault(call["call"], call) is call:
                taken = call["reserved"]["usd"] if lease in self.released else call["usd"] or call["reserved"]["usd"]
                self.leases[lease] = max(self.leases.get(lease, 0) - pico_usd(taken), 0)
        said = {"expires_in_seconds": self.expires_in_seconds, "rules_revision": self.revision}
        return {"lease": lease, "known": True, **said}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    budget: Budget

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.budget.tokens.add(self.headers.get("authorization", ""))
        answer = self.budget.respond(self.path.rpartition("/")[2], body)
        content = json.dumps(answer if self.budget.status == 200 else {"error": {"code": "no"}}).encode()
        self.send_response(self.budget.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def budget_server(budget: Budget) -> Iterator[Budget]:
    """The budget behind a server on loopback."""
    handler = type("Handler", (_Handler,), {"budget": budget})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    budget.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield budget
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
