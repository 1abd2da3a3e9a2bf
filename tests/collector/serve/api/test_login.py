"""JWTs, API keys and sessions: who is who, over real connections, with keys that a provider publishes and changes."""

from __future__ import annotations

import asyncio
import hmac
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.config.parts import Endpoint
from collector.errors import StartupError
from collector.serve.api.app import Path as Route
from collector.serve.api.app import build_app
from collector.serve.api.config import ApiConfig, ApiToken, JwksUrl, JwtConfig, Role
from collector.serve.api.keys import LEAST_SECONDS_BETWEEN_FETCHES, KeysUnavailable, PublishedKeys, keys_of, keys_of_set
from collector.serve.api.server import ApiServer
from collector.tls import server_context
from tests.collector.receive.certificates import make

ISSUER, SECRET = "https://login.example.com/", "s" * 32
JWT = JwtConfig(ISSUER, ("otel-cost", "page"), SECRET)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SEES_ALL = ApiToken("ops", "ops-0123456789abcdef", Role.ADMIN)
SEES_ACME = ApiToken("acme", "", Role.VIEWER, "acme", sha256(b"acme-0123456789abcdef").hexdigest())


async def who(request: Request) -> Response:
    state = request.state
    return JSONResponse([state.caller, state.role.name, state.org, state.login])


PATHS = (
    Route("GET", "/who", Role.VIEWER, who, "who asks"),
    Route("PUT", "/who", Role.ADMIN, who, "who changes"),
    Route("GET", "/strict", Role.VIEWER, who, "for JWTs", strict=True),
)


class Answer(NamedTuple):
    status: int
    body: Any
    cookie: str


class Asking:
    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._port, self._tls = port, tls

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        make_one = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        more: dict[str, Any] = {"context": self._tls} if self._tls else {}
        connection = make_one("127.0.0.1", self._port, timeout=20, **more)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", sent, {"Content-Type": "application/json", **named})
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read()), answer.getheader("set-cookie", ""))
        finally:
            connection.close()


@contextmanager
def served(config: ApiConfig) -> Iterator[Asking]:
    started, done = Event(), Event()
    ports: list[int] = []

    async def run() -> None:
        tls = None if config.tls is None else server_context(config.tls)
        server = ApiServer(config.endpoint, build_app(config, PATHS), tls)
        ports.append((await server.start()).port)
        started.set()
        await asyncio.to_thread(done.wait)
        await server.stop()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(20)
    trusting = ssl.create_default_context(cafile=str(config.tls.cert_file)) if config.tls else None
    try:
        yield Asking(ports[0], trusting)
    finally:
        done.set()
        thread.join()


def api(jwt_config: JwtConfig | None = JWT, **more: Any) -> ApiConfig:
    return ApiConfig(Endpoint("127.0.0.1", 0), (SEES_ALL, SEES_ACME), jwt_config, **more)


@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with served(api()) as asking:
        yield asking


def signed(key: Any = SECRET, algorithm: str = "HS256", head: Mapping[str, str] | None = None, **said: Any) -> str:
    claims = {"iss": ISSUER, "aud": "otel-cost", "exp": int(time.time()) + 600, "sub": "ann", "org_id": "acme"} | said
    return "Bearer " + jwt.encode(claims, key, algorithm, dict(head or {}))


@pytest.mark.parametrize(
    ("said", "org_header", "expected"),
    [
        ({}, None, ["ann", "VIEWER", "acme", "jwt"]),
        ({"role": "editor", "aud": ["x", "page"]}, "acme", ["ann", "EDITOR", "acme", "jwt"]),
        ({"role": ["nobody", "editor", "admin"]}, None, ["ann", "ADMIN", "acme", "jwt"]),
        ({"org_id": ["acme", "globex"]}, "globex", ["ann", "VIEWER", "globex", "jwt"]),
        ({"sub": "a\x00b"}, None, ["jwt", "VIEWER", "acme", "jwt"]),
        ({"exp": int(time.time()) - 2}, None, ["ann", "VIEWER", "acme", "jwt"]),  # clocks differ
    ],
)
def test_a_jwt_says_who_asks_and_what_they_may_see(
    ask: Asking, said: dict[str, Any], org_header: str | None, expected: list[str]
) -> None:
    headers = {} if org_header is None else {"X_Org_ID": org_header}
    assert ask("GET", "/who", Authorization=signed(**said), **headers)[:2] == (200, expected)


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


def test_what_is_wrong_with_a_login_is_said(ask: Asking) -> None:
    assert ask("POST", "/login", {"token": "wrong-0123456789abcdef"}).status == 401
    wrong: list[Any] = [{}, [], {"token": 7}, {"token": "x" * 70_000}, {"tokn": "x", "token": "y"}]
    for body in wrong:
        assert ask("POST", "/login", body).status == 400
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


def pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    found: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return found


def jwk(key: Any, key_id: str | None = None, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    said: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    said.pop("key_ops", None)
    return said | ({} if key_id is None else {"kid": key_id}) | more


@pytest.mark.parametrize(("key", "algorithm", "wrong"), [(RSA_KEY, "RS256", "RS384"), (EC_KEY, "ES256", None)])
def test_a_public_key_decides_the_algorithm(tmp_path: Path, key: Any, algorithm: str, wrong: str | None) -> None:
    (tmp_path / "key.pem").write_bytes(pem(key))
    with served(api(JwtConfig(ISSUER, ("otel-cost",), public_key_file=tmp_path / "key.pem"))) as ask:
        assert ask("GET", "/who", Authorization=signed(key, algorithm, {"kid": "any"})).status == 200
        if wrong is not None:
            assert ask("GET", "/who", Authorization=signed(key, wrong)).status == 401


def test_keys_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    """With the file's name; a private key, or one that is too weak, is none."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    other = ed25519.Ed25519PrivateKey.generate()
    for content in (b"", b"nonsense", pem(weak), pem(other), pem(ec.generate_private_key(ec.SECP384R1()))):
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(StartupError, match=r"key file .*key\.pem: "):
            keys_of(JwtConfig(ISSUER, ("otel-cost",), public_key_file=tmp_path / "key.pem"))
    with pytest.raises(StartupError, match="No such file"):
        keys_of(JwtConfig(ISSUER, ("otel-cost",), jwks_file=tmp_path / "none"))


def test_of_a_key_set_only_what_verifies_signatures_is_used() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256", "kid": "hmac"}
    said = [
        secret,
        jwk(RSA_KEY, "good"),
        jwk(RSA_KEY, "for encryption", use="enc"),
        jwk(RSA_KEY, "of another algorithm", alg="RS512"),
        jwk(EC_KEY, "curve", alg="ES256"),
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC"},
        7,
    ]
    found = keys_of_set(json.dumps({"keys": said}).encode())
    assert [(key.key_id, key.algorithm) for key in found] == [("good", "RS256"), ("curve", "ES256")]
    for wrong in (b"{", b"[]", b'{"keys": {}}', json.dumps({"keys": [secret]}).encode()):
        with pytest.raises(ValueError, match=r"(?i)key"):
            keys_of_set(wrong)


class Provider:
    """An identity provider that publishes its keys."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                payload = json.dumps({"keys": provider.keys}).encode()
                self.send_response(provider.status)
                if provider.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_published_keys_are_fetched_once_and_again_for_a_new_key_but_not_for_every_invented_one() -> None:
    clock = [1000.0]
    with Provider() as provider:
        provider.keys = [jwk(RSA_KEY, "one")]
        keys = PublishedKeys(JwksUrl(provider.url, 3600.0), lambda: clock[0])
        assert keys.known() == ()
        keys.refresh()
        assert [key.key_id for key in keys.known()] == ["one"]
        provider.keys = [jwk(RSA_KEY, "one"), jwk(EC_KEY, "two")]
        for _ in range(20):
            clock[0] += 1
            keys.refresh()
        assert provider.asked == 1
        clock[0] += LEAST_SECONDS_BETWEEN_FETCHES
        keys.refresh()
        assert ([key.key_id for key in keys.known()], provider.asked) == (["one", "two"], 2)
        assert not keys.is_stale()
        clock[0] += 3601
        assert keys.is_stale()


def test_keys_stay_while_the_provider_is_away_and_not_for_ever() -> None:
    """Nor does a redirect lead to somebody else's keys."""
    clock = [1000.0]
    with Provider() as provider:
        provider.keys = [jwk(RSA_KEY, "one")]
        keys = PublishedKeys(JwksUrl(provider.url), lambda: clock[0])
        provider.status = 302
        with pytest.raises(KeysUnavailable):
            keys.refresh()
        provider.status = 200
        clock[0] += 31
        keys.refresh()
        provider.status = 500
        clock[0] += 3600
        keys.refresh()
        assert len(keys.known()) == 1
        clock[0] += 24 * 3600
        with pytest.raises(KeysUnavailable):
            keys.refresh()


def test_jwts_of_a_provider_whose_keys_change() -> None:
    """The first one fetches the keys; one that names an unknown key is refused; without any key nobody can tell."""
    with Provider() as provider, served(api(JwtConfig(ISSUER, ("otel-cost",), jwks_url=JwksUrl(provider.url)))) as ask:
        provider.keys = [jwk(RSA_KEY, "one"), jwk(EC_KEY, "two")]
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256", {"kid": "one"})).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256", {"kid": "two"})).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256")).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256", {"kid": "one"})).status == 401
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256", {"kid": "three"})).status == 401
        assert provider.asked == 1
    with Provider() as provider, served(api(JwtConfig(ISSUER, ("otel-cost",), jwks_url=JwksUrl(provider.url)))) as ask:
        provider.status = 500
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256")).status == 503
        assert ask("GET", "/who", Authorization=f"Bearer {SEES_ALL.secret}").status == 200
