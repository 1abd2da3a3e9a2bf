"""An API of a few routes that say who asks, with API keys and JWTs."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from threading import Event, Thread
from typing import Any, NamedTuple

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.config.parts import Endpoint
from collector.serve.api.app import Path, build_app
from collector.serve.api.config import ApiConfig, ApiToken, JwtConfig, Role
from collector.serve.api.server import ApiServer
from collector.tls import server_context

ISSUER, SECRET = "https://login.example.com/", "s" * 32
JWT = JwtConfig(ISSUER, ("otel-cost", "page"), SECRET)
SEES_ALL = ApiToken("ops", "ops-0123456789abcdef", Role.ADMIN)
SEES_ACME = ApiToken("acme", "", Role.VIEWER, "acme", sha256(b"acme-0123456789abcdef").hexdigest())


async def who(request: Request) -> Response:
    state = request.state
    return JSONResponse([state.caller, state.role.name, state.org, state.login])


PATHS = (
    Path("GET", "/who", Role.VIEWER, who, "who asks"),
    Path("PUT", "/who", Role.ADMIN, who, "who changes"),
    Path("GET", "/strict", Role.VIEWER, who, "for JWTs", strict=True),
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


def signed(key: Any = SECRET, algorithm: str = "HS256", head: Mapping[str, str] | None = None, **said: Any) -> str:
    claims = {"iss": ISSUER, "aud": "otel-cost", "exp": int(time.time()) + 600, "sub": "ann", "org_id": "acme"} | said
    return "Bearer " + jwt.encode(claims, key, algorithm, dict(head or {}))
