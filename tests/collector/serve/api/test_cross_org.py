"""No organisation sees another's data: every route of the real app, every role, every kind of forged credential.

What one organisation is answered is recorded before the other one exists, and asked again afterwards: it must be the
same. Routes come from the app's own table. A new one fails here until a request of it is known that the other
organisation itself is answered, and that shows what it has: else that nobody else is answered would prove nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import pytest
from starlette.routing import Route

from collector.serve.api.config import Role
from collector.serve.api.path import VERSION
from otel_cost import attributes as k
from tests.collector.serve.api.forged import OTHER, OWN, own, refused_credentials, signed
from tests.collector.serve.api.orgs import (
    MARK,
    OWN_MARK,
    ROOT,
    THEIRS,
    TRACES,
    Answer,
    Collector,
    Listener,
    bearer,
    of_two,
)
from tests.test_api_docs import PAGE, ROW

PAGES = {"/", "/approvals", "/static/{digest}/{name:path}"}
"""Files of the page, the same for everybody: nobody has to say who they are."""
UNGUARDED = {
    ("GET", "/api/v1/me"): 401,
    ("POST", "/api/v1/login"): 400,
    ("POST", "/api/v1/logout"): 200,
}
"""Routes of the API for those whom nobody knows, and what they are told."""
SAME_FOR_ALL = {
    *(VERSION + path for path in ("", "/openapi.json", "/me", "/prices", "/price-runs", "/anomalies", "/stream")),
    *PAGES,
}
"""What does not change by calls of yesterday and today. The stream is listened to; spikes have a test of their own."""
OWN_WAYS = {
    ("POST", "/api/v1/login"): "sessions have their tests in test_login.py",
    ("POST", "/api/v1/organization"): "the same",
    ("POST", "/api/v1/approvals/{ticket}/deny"): "it is approved already",
    ("GET", "/static/{digest}/{name:path}"): "files have their tests in test_page_files.py",
}
"""Requests of the test that not even the other organisation itself is answered, and why."""
CALLERS = {
    "viewer": bearer(own(Role.VIEWER).secret),
    "JWT, admin": bearer(signed(role="admin", org_id=[OWN, "third"])) | {"X-Org-ID": OWN},
    "root, narrowed": bearer(ROOT.secret) | {"X-Org-ID": OWN},
}
OTHER_ROLES = {f"token, {role.name}": bearer(own(role).secret) for role in (Role.EDITOR, Role.ADMIN)}
"""Asked for changes only: what is read does not depend on the role."""
ALL, MODELS = "?since=all", "?models=gpt-4o&since=all"
PROBE = f"?since=all&customer={MARK}-{k.OTEL_COST_CUSTOMER}"
"""Asks for what only the other organisation has."""
NAMES = {
    "run": f"{MARK}-{k.OTEL_COST_RUN}",
    "trace_id": TRACES[OTHER].hex(),
    "name": f"{MARK}-rule",
    "key": "customer",
    "ticket": "none",
    "id": "none",
}
CLAIM: dict[str, object] = {
    "owners": {"customer": MARK, "user": MARK},
    "estimate": {"usd": "0.0001", "tokens": 1},
}
RULE: dict[str, object] = {"scope": "user", "limit": "5 calls/hour", "on_exceed": ["block"]}
Said = tuple[int, str, str]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with of_two(tmp_path_factory.mktemp("orgs")) as found:
        yield found


def routes(collector: Collector) -> list[tuple[str, str]]:
    """Method and path of everything that the app answers."""
    found: list[tuple[str, str]] = []
    for route in collector.app.routes:
        assert isinstance(route, Route), f"how is {route} guarded?"
        found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with something in its parameters."""
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: quote(values.get(found.group(1), "agent"), safe=""), path)


def aimed(method: str, path: str, values: Mapping[str, str]) -> list[tuple[str, object]]:
    """What to ask of a route: path with query, and body. All of it is about what the other organisation has."""
    if method == "GET":
        queries = [""] if path in PAGES else [MODELS if path.endswith("/compare") else ALL, PROBE, ""]
        return [(filled(path, values) + query, None) for query in queries]
    lease, reserved = values.get("lease", "none"), {"usd": "0.0001", "tokens": 1}
    settled = {"call": 1, "usd": "0.0002", "tokens": 1, "reserved": reserved}
    sent: dict[str, list[object]] = {
        "/sql": [{"sql": "SELECT count(*), max(agent), max(org_id), sum(cost_usd) FROM calls"}],
        "/budgets/check": [CLAIM, CLAIM | {"org": OTHER}],
        "/budgets/lease": [CLAIM | {"holder": "h"}, CLAIM | {"holder": "h", "org": OTHER}],
        "/budgets/settle": [{"lease": lease, "calls": [settled]}],
        "/budgets/release": [{"lease": lease}],
        "/budgets/rules/{name}": [RULE | {"organization": OTHER}],
        "/approvals/{ticket}/approve": [{"raise": "0.0001"}],
        "/login": [{"token": own(Role.VIEWER).secret, "organization": OTHER}],
        "/organization": [{"organization": OTHER}],
    }
    return [(filled(path, values), body) for body in sent.get(path.removeprefix(VERSION), [{}])]


def normal(answer: Answer, values: Mapping[str, str]) -> Said:
    """The answer without what the time of asking says, names that were given, leases, and the digest of all rules."""
    text = answer.text
    for name in ("ticket", "lease", "id"):
        text = text.replace(values.get(name, "none"), "none")
    text = re.sub(r'"(rules_revision|amount|leased)":\s*"?[\w.]+"?', "", text)  # leases end, slices grow
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)?", "TIME", text)
    return answer.status, answer.kind, re.sub(r'"age_seconds":\s*[\d.]+', '"age_seconds":0', text)


def recorded(collector: Collector, values: Mapping[str, str]) -> dict[tuple[object, ...], Said]:
    """What the own organisation's callers are answered by every route."""
    found: dict[tuple[object, ...], Said] = {}
    for number, (method, path) in enumerate(routes(collector)):
        callers = CALLERS | OTHER_ROLES
        if method == "GET":  # by one of them each, for a view does not know more of its caller than the organisation
            callers = dict([list(CALLERS.items())[number % len(CALLERS)]])
        if path == "/api/v1/sql":
            callers = {"viewer": CALLERS["viewer"]}  # a process each time
        for name, headers in callers.items():
            for at, (asked, body) in enumerate(aimed(method, path, values)):
                answer = collector.ask(method, asked, headers, body)
                assert answer.status < 500, (method, asked, answer)
                if MARK not in f"{asked}{body}":
                    assert MARK not in answer.text, (method, asked, name)
                given = {**values, **_given_back(collector, answer, headers)}
                found[method, path, name, at] = normal(answer, given)
    return found


def _given_back(collector: Collector, answer: Answer, headers: Mapping[str, str]) -> dict[str, str]:
    """The lease that an answer gives, which nobody has any more."""
    given = json.loads(answer.body).get("lease") if answer.text.startswith('{"decision":') else None
    if given is None:
        return {}
    assert collector.ask("POST", "/api/v1/budgets/release", headers, {"lease": given["id"]}).status == 200
    return {"lease": str(given["id"])}


def shown(collector: Collector, under: str = "") -> dict[str, Said]:
    """What the other organisation itself is shown by all routes, or those that begin so."""
    found = {}
    for method, path in routes(collector):
        if method == "GET" and path.startswith(under):
            asked = [asked for asked, _ in aimed("GET", path, NAMES)]
            answer = collector.ask("GET", asked[0], THEIRS)
            found[path] = normal(answer if answer.status == 200 else collector.ask("GET", asked[-1], THEIRS), NAMES)
    return found


def in_use(collector: Collector) -> dict[str, str]:
    """The other organisation has calls, a rule, a used-up budget, a lease, a ticket and a message: their names."""
    collector.send(OTHER, MARK, 30)
    assert collector.ask("PUT", f"/api/v1/budgets/rules/{NAMES['name']}", THEIRS, RULE).status == 201
    leased = json.loads(collector.ask("POST", "/api/v1/budgets/lease", THEIRS, CLAIM | {"holder": "h"}).body)
    dear = CLAIM | {"holder": "h", "estimate": {"usd": "1", "tokens": 1}}
    refused = json.loads(collector.ask("POST", "/api/v1/budgets/lease", THEIRS, dear).body)
    message = collector.dead_letter(THEIRS)
    return NAMES | {"ticket": refused["refusal"]["ticket"], "lease": leased["lease"]["id"], "id": message}


@pytest.mark.timeout(300)
def test_an_organisation_is_answered_as_if_no_other_existed(collector: Collector) -> None:
    """By every route, for every role, also where it names what the other one has; and it can change none of that."""
    before, nothing = recorded(collector, NAMES), shown(collector)
    with Listener(collector.port, CALLERS["viewer"]) as ours, Listener(collector.port, THEIRS) as theirs:
        values = in_use(collector)
        found = shown(collector)  # and now it lies in every cache
        assert {path for path, answer in found.items() if answer == nothing[path]} == SAME_FOR_ALL
        after = recorded(collector, values)
        theirs.wait_for("event: budget")
        ours.wait_for("event: changed")
    assert {route: (before[route], answer) for route, answer in after.items() if answer != before[route]} == {}
    for under in ("/api/v1/budgets", "/api/v1/approvals"):
        assert shown(collector, under).items() <= found.items()
    assert MARK in theirs.heard
    assert MARK not in ours.heard
    assert "event: budget" not in ours.heard
    assert set(re.findall(r'"last_seq":(\w+)', ours.heard)) == {"null"}
    taken = collector.ask("PUT", f"/api/v1/budgets/rules/{NAMES['name']}", CALLERS["JWT, admin"], RULE)
    assert taken.status == 409
    _is_answered_itself(collector, found, values)


def _is_answered_itself(collector: Collector, found: Mapping[str, Said], values: Mapping[str, str]) -> None:
    """The same requests are good: the other organisation may make them all."""
    refused = {("GET", path) for path, answer in found.items() if answer[0] != 200}
    for method, path in routes(collector):
        if method == "GET":
            continue
        statuses = [collector.ask(method, asked, THEIRS, body).status for asked, body in aimed(method, path, values)]
        if min(statuses) >= 300:
            refused.add((method, path))
    assert refused == set(OWN_WAYS)


def test_every_route_but_those_of_the_page_refuses_who_proves_nothing(collector: Collector) -> None:
    """401 or 403 with the one error body, whatever the method; nothing of anybody's is in it."""
    refused = refused_credentials()
    for method, path in routes(collector):
        if path in PAGES:
            continue
        asked, body = aimed(method, path, {})[-1]
        for name, headers in refused.items():
            answer = collector.ask(method, asked, headers, body)
            expected = {UNGUARDED[method, path]} if (method, path) in UNGUARDED else {401, 403}
            if name == "own JWT, no name":
                expected |= {400}
            if (method, path) == ("GET", "/api/v1/me"):
                expected = {401, 403, 400}
            assert answer.status in expected, (method, path, name, answer)
            if answer.status >= 400:
                assert json.loads(answer.body)["error"]["code"]
            assert OWN_MARK not in answer.body.decode()


def test_each_role_may_do_what_is_documented_for_it_and_no_more(collector: Collector) -> None:
    """By token and by JWT: 403 for those who may not, whatever they send; nothing is refused to those who may."""
    documented = {(method, path): word for method, path, word in ROW.findall(PAGE.read_text())}
    for method, path in routes(collector):
        word = "anybody" if path in PAGES else documented[method, re.sub(r":\w+}", "}", path)]
        if word == "anybody":
            continue
        least = Role[word.upper()]
        for role in Role:
            if method == "GET" and role >= least:
                continue  # the first test has asked
            for headers in (bearer(own(role).secret), bearer(signed(role=role.name.lower()))):
                answer = collector.ask(method, filled(path, {}), headers, {})
                assert (answer.status == 403) == (role < least), (method, path, role, answer)
                assert answer.status not in (401, 500)
