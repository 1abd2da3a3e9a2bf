"""Budgets over HTTP: what was spent, decisions and leases, rules and who changed them (docs/budgets-protocol.md)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.budgets import answers
from collector.budgets.actions.config import AnyChannel
from collector.budgets.counters import Counters
from collector.budgets.leases import LeaseBook
from collector.budgets.model import PPM, CounterKey, Event, Rule, Spent
from collector.budgets.requests import BadRequest
from collector.budgets.rulebook import CannotChange, RuleBook
from collector.budgets.windows import window_at
from collector.config.budget import made_at, read_rule
from collector.config.channels import check_channels
from collector.config.problems import Problems
from collector.config.reader import Section
from collector.config.written_rule import written
from collector.errors import StoreUnavailable
from collector.serve.api import budget_shapes as shapes
from collector.serve.api.app import Path
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid, not_found
from collector.serve.api.parameters import Given, Parameter, read_parameters
from collector.serve.api.responses import json_body

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of a request. A settlement of ten thousand calls takes half of it."""
MAX_LISTED = 1000
"""Counters of a rule, events or changes in one answer; the rest is in the ledger's views."""
Json = dict[str, Any]
T = TypeVar("T")


class Desk(Protocol):
    """What the routes need (`collector.budget_desk.BudgetDesk`)."""

    counters: Counters
    book: LeaseBook
    rulebook: RuleBook
    around: answers.Surroundings
    channels: Sequence[AnyChannel]

    def events(self, since_ns: int, limit: int, org: str | None = None) -> list[Event]:
        """At most so many from a time on, the newest first; of one organisation, or all. Raises StoreUnavailable."""


def budget_paths(desk: Desk) -> list[Path]:
    """All routes of budgets but approvals and deliveries."""
    routes = _Routes(desk)
    return [
        Path("POST", "/budgets/check", Role.VIEWER, routes.check, "may this call be made?").of(
            shapes.Claim, shapes.CHECKED
        ),
        Path("POST", "/budgets/lease", Role.EDITOR, routes.lease, "a slice of the budgets that a call counts in").of(
            shapes.LeaseClaim, shapes.LEASED
        ),
        Path("POST", "/budgets/settle", Role.EDITOR, routes.settle, "what calls under a lease cost").of(
            shapes.Settlement, shapes.SETTLED
        ),
        Path("POST", "/budgets/release", Role.EDITOR, routes.release, "give a lease back").of(
            shapes.Release | shapes.ReadJob, shapes.RELEASED
        ),
        Path("GET", "/budgets", Role.VIEWER, routes.overview, "every budget as it is now", returns=shapes.OVERVIEW),
        Path(
            "GET",
            "/budgets/events",
            Role.VIEWER,
            routes.events,
            "thresholds crossed and approvals, the newest first",
            parameters=(shapes.SINCE_NS, shapes.LIMIT),
            returns=shapes.EVENTS,
        ),
        Path(
            "GET",
            "/budgets/audit",
            Role.ADMIN,
            routes.audit,
            "who changed which rule",
            parameters=(shapes.LIMIT,),
            returns=shapes.AUDIT,
        ),
        Path(
            "GET",
            "/budgets/rules",
            Role.VIEWER,
            routes.rules,
            "all rules, of the config and made at run time",
            returns=shapes.RULES,
        ),
        Path(
            "PUT",
            "/budgets/rules/{name}",
            Role.ADMIN,
            routes.put_rule,
            "make or change a rule",
            body=shapes.RuleBody,
            returns=shapes.CHANGED,
        ),
        Path(
            "DELETE",
            "/budgets/rules/{name}",
            Role.ADMIN,
            routes.delete_rule,
            "remove a rule made at run time",
            returns=shapes.GONE,
        ),
        Path("GET", "/budgets/{name}", Role.VIEWER, routes.one, "one budget: its rule and its counters").of(
            None, shapes.ONE
        ),
    ]


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def check(self, request: Request) -> Response:
        book, around, org = self._desk.book, self._desk.around, request.state.org
        return await _answer(request, lambda body: answers.check_answer(book, body, time.time_ns(), around, org))

    async def lease(self, request: Request) -> Response:
        book, around, org = self._desk.book, self._desk.around, request.state.org
        return await _answer(request, lambda body: answers.lease_answer(book, body, time.time_ns(), around, org))

    async def settle(self, request: Request) -> Response:
        book, org = self._desk.book, request.state.org
        return await _answer(request, lambda body: answers.settle_answer(book, body, time.time_ns(), org))

    async def release(self, request: Request) -> Response:
        return await _answer(request, lambda body: answers.release_answer(self._desk.book, body, request.state.org))

    async def overview(self, request: Request) -> Response:
        now_ns, org = time.time_ns(), request.state.org
        return JSONResponse({"budgets": [self._shown(rule, org, now_ns) for rule in self._rules(org)]})

    async def one(self, request: Request) -> Response:
        org = request.state.org
        rule = self._rule(request.path_params["name"], org)
        return JSONResponse({"rule": written(rule), **self._shown(rule, org, time.time_ns())})

    async def events(self, request: Request) -> Response:
        given = read_query(request, shapes.SINCE_NS, shapes.LIMIT)
        wanted = given[shapes.SINCE_NS], given[shapes.LIMIT], request.state.org
        found = await in_thread(lambda: self._desk.events(*wanted))
        return JSONResponse({"events": [event_json(event) for event in found]})

    async def audit(self, request: Request) -> Response:
        limit, org = read_query(request, shapes.LIMIT)[shapes.LIMIT], request.state.org
        rows = await in_thread(lambda: self._desk.rulebook.audit(limit, org))
        return JSONResponse({"audit": [{**row._asdict(), "at": answers.time_json(row.at_ns)} for row in rows]})

    async def rules(self, request: Request) -> Response:
        book = self._desk.rulebook
        listed = [
            {**written(rule), "from": "config" if book.is_configured(rule.name) else "api"}
            for rule in self._rules(request.state.org)
        ]
        return JSONResponse({"rules_revision": book.revision, "rules": listed})

    async def put_rule(self, request: Request) -> Response:
        said = await json_body(request, MAX_BODY_BYTES)
        name = request.path_params["name"]
        if not isinstance(said, dict):
            raise invalid("is no rule", where="body", allowed="a JSON object, as docs/config.md describes it")
        rule = self._read(made_at({"name": name, **said}, datetime.now(UTC)))
        if rule.name != name:
            raise invalid(f"the rule is named {rule.name}, the path says {name}", where="name")
        org, book = request.state.org, self._desk.rulebook
        if org is not None:
            rule = _of(rule, org)
        is_new = await self._change(lambda: book.put(rule, request.state.caller, org))
        return JSONResponse({"rule": written(rule)}, HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    async def delete_rule(self, request: Request) -> Response:
        name, org = request.path_params["name"], request.state.org
        await self._change(lambda: self._desk.rulebook.delete(name, request.state.caller, org))
        return JSONResponse({"deleted": name})

    def _read(self, said: Mapping[str, Any]) -> Rule:
        problems = Problems("rule")
        section = Section(problems, "", dict(said))
        rule = read_rule(section)
        check_channels(section, rule, self._desk.channels)
        if problems.lines:
            raise _wrong([line.removeprefix("rule: ").removeprefix(".") for line in problems.lines])
        return rule

    async def _change(self, change: Callable[[], Any]) -> Any:
        try:
            return await in_thread(change)
        except CannotChange as error:
            status = HTTPStatus.NOT_FOUND if error.is_unknown else HTTPStatus.CONFLICT
            raise ApiError(status, status.name.lower(), str(error), where="name") from None

    def _rules(self, org: str | None) -> list[Rule]:
        """The rules that say something to an organisation; None: to any."""
        return [rule for rule in self._desk.rulebook.rules if org is None or rule.organization in (None, org)]

    def _rule(self, name: str, org: str | None) -> Rule:
        rules = {rule.name: rule for rule in self._rules(org)}
        if name not in rules:
            near = get_close_matches(name, rules, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise not_found(f"there is no budget {name}{meant}", where="name", allowed=", ".join(rules) or None)
        return rules[name]

    def _shown(self, rule: Rule, org: str | None, now_ns: int) -> Json:
        counters = self._desk.counters
        held = counters.of_rule(rule.name, now_ns)
        held += self._leased_only(rule, held, now_ns)
        held = [pair for pair in held if org is None or pair[0].org_id == org]
        held.sort(key=lambda pair: -pair[1].of(rule.unit))
        window = window_at(rule.window, now_ns)
        return {
            "name": rule.name,
            "unit": rule.unit.value,
            "limit": answers.amount_json(rule.unit, rule.limit),
            "window": rule.window.kind.value,
            "starts_at": answers.time_json(window.start_ns) if window.end_ns is not None else None,
            "resets_at": answers.time_json(window.end_ns),
            "is_hard": rule.is_hard,
            "from": "config" if self._desk.rulebook.is_configured(rule.name) else "api",
            "counters": [self._counter(rule, key, spent.of(rule.unit), now_ns) for key, spent in held[:MAX_LISTED]],
            "counters_not_listed": max(0, len(held) - MAX_LISTED),
        }

    def _leased_only(
        self, rule: Rule, held: Sequence[tuple[CounterKey, Spent]], now_ns: int
    ) -> list[tuple[CounterKey, Spent]]:
        """Counters of now that nothing was spent of yet, and leases hold something."""
        start_ns = window_at(rule.window, now_ns).start_ns
        known = {(key.org_id, key.scope_value) for key, _ in held}
        keys = (
            key for key in self._desk.book.keys(rule.name) if rule.window.rolling_ns or key.window_start_ns == start_ns
        )
        return [
            (key._replace(window_start_ns=start_ns), Spent())
            for key in keys
            if (key.org_id, key.scope_value) not in known
        ]

    def _counter(self, rule: Rule, key: CounterKey, spent: int, now_ns: int) -> Json:
        limit = self._desk.counters.limit(rule, key, now_ns)
        share = spent * PPM // limit if limit else PPM
        state = "exceeded" if share >= PPM else "warning" if share >= min(rule.warn_at_ppm, default=PPM) else "ok"
        return {
            "org": key.org_id,
            "scope_value": key.scope_value,
            "spent": answers.amount_json(rule.unit, spent),
            "leased": answers.amount_json(rule.unit, self._desk.book.leased(key)),
            "limit": answers.amount_json(rule.unit, limit),
            "percent": round(share / 10_000, 2),
            "state": state,
        }


def event_json(event: Event) -> Json:
    """As answers and the stream of news show it."""
    return {
        "id": event.event_id,
        "org": event.key.org_id,
        "rule": event.key.rule,
        "scope_value": event.key.scope_value,
        "kind": event.kind.value,
        "threshold_percent": event.threshold_ppm / 10_000,
        "happened_at": answers.time_json(event.happened_at_ns),
        "unit": event.unit.value,
        "spent": answers.amount_json(event.unit, event.spent),
        "limit": answers.amount_json(event.unit, event.limit),
        "detail": event.detail,
    }


_PROBLEM = re.compile(
    r"(?P<where>[^:]+): (?P<what>.*?)(; allowed: (?P<allowed>.*?))?(?P<near>; did you mean .*)?", re.DOTALL
)


def _wrong(problems: Sequence[str]) -> ApiError:
    """What is wrong with a rule, the first at its place, the others after it."""
    first = _PROBLEM.fullmatch(problems[0])
    if first is None:
        return invalid("; ".join(problems), where="body")
    what = first["what"] + (first["near"] or "")
    return invalid("; ".join([what, *problems[1:]]), where=first["where"], allowed=first["allowed"])


def _of(rule: Rule, org: str) -> Rule:
    """The rule as one of an organisation's own. Raises ApiError for one of another."""
    if rule.organization not in (None, org):
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", "is not the caller's", where="organization", allowed=org)
    return replace(rule, organization=org)


async def _answer(request: Request, answer: Callable[[object], Json]) -> Response:
    try:
        return JSONResponse(answer(await json_body(request, MAX_BODY_BYTES)))
    except BadRequest as error:
        raise invalid(str(error), where=error.where or "body", allowed=error.allowed or None) from None


def read_query(request: Request, *parameters: Parameter[Any]) -> Given:
    """What a request says in its query. Raises ApiError."""
    return read_parameters(request.query_params.multi_items(), parameters)[0]


async def in_thread(work: Callable[[], T]) -> T:
    """Run what waits for the ledger beside the event loop. Raises ApiError: 503, it cannot be asked now."""
    try:
        return await asyncio.to_thread(work)
    except StoreUnavailable as error:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error)) from None
