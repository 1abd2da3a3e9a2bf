"""API keys, JWTs and sessions: who is who, over real connections."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest

from collector.serve.api.config import JwtConfig, Role
from tests.collector.receive.certificates import make
from tests.collector.serve.api.asking import ISSUER, SECRET, SEES_ACME, SEES_ALL, Answer, Asking, api, served, signed


@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with served(api()) as asking:
        yield asking


@pytest.mark.parametrize(
    ("said", "org_header", "expected"),
    [
        ({}, None, ["ann", "VIEWER", "acme", "jwt"]),
        ({"role": "editor", "aud": ["x", "page"]}, "acme", ["ann", "EDITOR", "acme", "jwt"]),
        ({"role": ["nobody", "editor", "admin"]}, None, ["ann", "ADMIN", "acme", "jwt"]),
        ({"org_id": ["acme", "globex"]}, "globex", ["ann", "VIEWER", "globex", "jwt"]),
        ({"sub": "a\x00b"}, None, ["jwt", "VIEWER", "acme", "jwt"]),
    ],
)
def test_a_jwt_says_who_asks_and_what_they_may_see(
    ask: Asking, said: dict[str, Any], org_header: str | None, expected: list[str]
) -> None:
    headers = {} if org_header is None else {"X_Org_ID": org_header}
    assert ask("GET", "/who", Authorization=signed(**said), **headers)[:2] == (200, expected)


def test_clocks_may_differ_a_little(ask: Asking) -> None:
    assert ask("GET", "/who", Authorization=signed(exp=int(time.time()) - 1)).status == 200
    assert ask("GET", "/who", Authorization=signed(exp=int(time.time()) - 60)).status == 401


def test_who_may_see_several_organisations_has_to_choose_one(ask: Asking) -> None:
    several = signed(org_id=["acme", "globex"])
    status, body, _ = ask("GET", "/who", Authorization=several)
    assert (status, body["error"]["where"], body["error"]["allowed"]) == (400, "X-Org-ID", "acme, globex")
    assert ask("GET", "/who", Authorization=several, X_Org_ID="initech").status == 403
    me = ask("GET", "/me", Authorization=several).body
    assert (me["org"], me["orgs"], me["login"], me["role"]) == (None, ["acme", "globex"], "jwt", "viewer")


def test_api_keys_see_one_organisation_or_all_and_may_be_kept_as_a_digest(ask: Asking) -> None:
    acme, ops = "Bearer acme-0123456789abcdef", f"Bearer {SEES_ALL.secret}"
    assert ask("GET", "/who", Authorization=acme).body == ["acme", "VIEWER", "acme", "token"]
    assert ask("GET", "/who", Authorization=acme, X_Org_ID="globex").status == 403
    assert ask("PUT", "/who", {}, Authorization=acme).status == 403
    assert ask("GET", "/who", Authorization=f"Bearer {SEES_ACME.sha256}").status == 401
    assert ask("GET", "/who", Authorization=ops).body == ["ops", "ADMIN", None, "token"]
    assert ask("GET", "/who", Authorization=ops, X_Org_ID="globex").body == ["ops", "ADMIN", "globex", "token"]
    assert ask("GET", "/me", Authorization=ops).body["orgs"] is None


def test_a_strict_route_wants_a_jwt_and_the_header(ask: Asking) -> None:
    assert ask("GET", "/strict", Authorization=signed(), X_Org_ID="acme").status == 200
    assert ask("GET", "/strict", Authorization=signed()).body["error"]["where"] == "X-Org-ID"
    assert ask("GET", "/strict", Authorization=signed(), X_Org_ID="globex").status == 403
    assert ask("GET", "/strict", Authorization=f"Bearer {SEES_ALL.secret}", X_Org_ID="acme").status == 401
    with served(api(None)) as tokens_only:
        assert tokens_only("GET", "/strict", Authorization=f"Bearer {SEES_ALL.secret}", X_Org_ID="acme").status == 200
        assert tokens_only("GET", "/strict", Authorization=f"Bearer {SEES_ALL.secret}").status == 400


@pytest.mark.parametrize(
    "head",
    [b"[" * 6000, b"[]", b"7", b"\xff", b'{"alg":["HS256"]}', b'{"alg":"HS256","kid":{}}', b'{"alg":"HS256","crit":7}'],
)
def test_what_only_looks_like_a_jwt_is_refused(ask: Asking, head: bytes) -> None:
    """Before and behind a good signature: nothing that anybody can send is an error of ours."""
    unsigned = f"{jwt.utils.base64url_encode(head).decode()}.e30"
    assert ask("GET", "/who", Authorization=f"Bearer {unsigned}.eA").status == 401
    parts = (b'{"alg":"HS256"}', b"[" * 6000)
    deep = ".".join(jwt.utils.base64url_encode(part).decode() for part in parts)
    mac = hmac.new(SECRET.encode(), deep.encode(), sha256).digest()
    signed_well = f"{deep}.{jwt.utils.base64url_encode(mac).decode()}"
    assert ask("GET", "/who", Authorization=f"Bearer {signed_well}").status == 401


@pytest.mark.parametrize("ends", [1e400, -1, 10**30, True, "9" * 20, None, [1]])
def test_an_end_that_is_no_time_is_refused(ask: Asking, ends: object) -> None:
    assert ask("GET", "/who", Authorization=signed(exp=ends)).status == 401


def test_roles_may_be_words_of_the_provider_and_be_required() -> None:
    mapped = JwtConfig(
        ISSUER, ("otel-cost",), SECRET, role_claim="groups", roles={"finops": Role.EDITOR}, default_role=None
    )
    with served(api(mapped)) as ask:
        assert ask("GET", "/who", Authorization=signed(groups=["x", "finops"])).body[1] == "EDITOR"
        assert ask("GET", "/who", Authorization=signed(groups=["admin"])).status == 403
        assert ask("GET", "/who", Authorization=signed(role="admin")).status == 403


def session_of(answer: Answer) -> str:
    return answer.cookie.partition(";")[0]


def test_a_login_is_a_cookie_that_no_script_reads_and_no_other_site_sends(ask: Asking) -> None:
    """It has the rights of what it began with, counts for our own pages only, and ends with logout."""
    begun = ask("POST", "/login", {"token": SEES_ALL.secret})
    assert (begun.status, begun.body["login"], begun.body["org"]) == (200, "session", None)
    assert set(begun.cookie.lower().split("; ")[1:]) == {"httponly", "path=/", "samesite=strict"}
    cookie = session_of(begun)
    assert ask("PUT", "/who", {}, Cookie=cookie).body == ["ops", "ADMIN", None, "session"]
    assert ask("GET", "/me", Cookie=cookie).body["login"] == "session"
    for foreign in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ):
        assert ask("GET", "/who", Cookie=cookie, **foreign).status == 401
        assert ask("PUT", "/who", {}, Cookie=cookie, **foreign).status == 401
        assert ask("POST", "/logout", {}, Cookie=cookie, **foreign).status == 200
    assert ask("PUT", "/who", {}, Cookie=cookie, Content_Type="text/plain").status == 415
    assert ask("POST", "/login", {"token": SEES_ALL.secret}, Content_Type="text/plain").status == 415
    assert ask("GET", "/who", Cookie=cookie).status == 200
    ended = ask("POST", "/logout", {}, Cookie=cookie)
    assert (ended.status, "max-age=0" in ended.cookie.lower()) == (200, True)
    assert ask("GET", "/who", Cookie=cookie).status == 401


def test_a_session_sees_the_organisation_that_was_chosen(ask: Asking) -> None:
    several = signed(org_id=["acme", "globex"]).removeprefix("Bearer ")
    asked = ask("POST", "/login", {"token": several})
    assert (asked.status, asked.body["error"]["where"]) == (400, "organization")
    assert ask("POST", "/login", {"token": several, "organization": "initech"}).status == 400
    chosen = session_of(ask("POST", "/login", {"token": several, "organization": "globex"}))
    assert ask("GET", "/who", Cookie=chosen).body == ["ann", "VIEWER", "globex", "session"]
    assert ask("GET", "/who", Cookie=chosen, X_Org_ID="acme").status == 403
    assert ask("GET", "/strict", Cookie=chosen, X_Org_ID="globex").status == 200
    narrowed = session_of(ask("POST", "/login", {"token": SEES_ALL.secret, "organization": "acme"}))
    assert ask("GET", "/who", Cookie=narrowed).body[2] == "acme"
    assert ask("GET", "/who", Cookie=narrowed, X_Org_ID="globex").status == 403


def test_a_session_turns_to_what_its_credential_may_see_and_to_nothing_else(ask: Asking) -> None:
    """It sees one organisation at a time; who may see all may go back to all."""
    several = signed(org_id=["acme", "globex"]).removeprefix("Bearer ")
    begun = ask("POST", "/login", {"token": several, "organization": "globex"})
    assert (begun.body["org"], begun.body["orgs"]) == ("globex", ["acme", "globex"])
    cookie = session_of(begun)
    turned = ask("POST", "/organization", {"organization": "acme"}, Cookie=cookie)
    assert (turned.status, turned.body) == (200, ask("GET", "/me", Cookie=cookie).body)
    assert ask("GET", "/who", Cookie=cookie).body == ["ann", "VIEWER", "acme", "session"]
    assert ask("GET", "/who", Cookie=cookie, X_Org_ID="globex").status == 403
    for wanted in ("initech", None):
        assert ask("POST", "/organization", {"organization": wanted}, Cookie=cookie).status == 400
    assert ask("GET", "/who", Cookie=cookie).body[2] == "acme"
    assert ask("POST", "/organization", {"organization": "acme"}, Cookie=cookie, Origin="http://evil").status == 401
    assert ask("POST", "/organization", {"organization": "acme"}, Authorization=f"Bearer {several}").status == 400

    everybody = session_of(ask("POST", "/login", {"token": SEES_ALL.secret, "organization": "acme"}))
    seen = []
    for wanted in ("globex", None):
        assert ask("POST", "/organization", {"organization": wanted}, Cookie=everybody).status == 200
        seen.append(ask("GET", "/who", Cookie=everybody).body[2])
    assert seen == ["globex", None]


def test_who_logs_in_again_leaves_no_session_behind(ask: Asking) -> None:
    first = session_of(ask("POST", "/login", {"token": SEES_ALL.secret}))
    second = session_of(ask("POST", "/login", {"token": SEES_ALL.secret}, Cookie=first))
    assert ask("GET", "/who", Cookie=first).status == 401
    assert ask("GET", "/who", Cookie=second).status == 200


def test_what_is_wrong_with_a_login_is_said(ask: Asking) -> None:
    assert ask("POST", "/login", {"token": "wrong-0123456789abcdef"}).status == 401
    wrong: list[Any] = [{}, [], {"token": 7}, {"tokn": "x", "token": "y"}]
    for body in wrong:
        assert ask("POST", "/login", body).status == 400
    assert ask("POST", "/login", {"token": "x" * 70_000}).status == 413
    assert ask("POST", "/login", {"token": "x" * 20_000}).status == 401
    assert ask("GET", "/me").status == 401


def test_a_session_ends_with_its_jwt() -> None:
    with served(api(JwtConfig(ISSUER, ("otel-cost",), SECRET, leeway_seconds=0))) as ask:
        token = signed(exp=int(time.time()) + 2).removeprefix("Bearer ")
        cookie = session_of(ask("POST", "/login", {"token": token}))
        assert ask("GET", "/who", Cookie=cookie).status == 200
        while ask("GET", "/who", Authorization=f"Bearer {token}").status == 200:
            time.sleep(0.1)
        assert ask("GET", "/who", Cookie=cookie).status == 401


def test_over_tls_the_cookie_is_for_this_host_and_tls_alone(tmp_path: Path) -> None:
    with served(api(tls=make(tmp_path))) as ask:
        begun = ask("POST", "/login", {"token": SEES_ALL.secret})
        assert begun.cookie.startswith("__Host-otel_cost_session=")
        assert "; secure" in begun.cookie.lower()
        assert ask("GET", "/who", Cookie=session_of(begun)).status == 200
