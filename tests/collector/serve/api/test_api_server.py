"""The API's frame: who is answered, how errors look, how it starts and stops. Over real connections."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.errors import CannotListen
from collector.serve.api.app import Path, build_app
from collector.serve.api.config import ApiConfig, ApiToken, Role
from collector.serve.api.errors import invalid
from collector.serve.api.server import ApiServer
from tests.collector.serve.api.serving import ANY, JSON, serving

TOKENS = (ApiToken("grafana", "see", Role.VIEWER), ApiToken("ops", "do", Role.ADMIN))


async def who(request: Request) -> Response:
    return JSONResponse({"caller": request.state.caller})


async def wrong(_: Request) -> Response:
    raise invalid("no such unit (got EUR)", where="unit", allowed="USD, tokens, calls")


async def broken(_: Request) -> Response:
    raise RuntimeError("a secret of ours")


PATHS = (
    Path("GET", "/who", Role.VIEWER, who, "who asks"),
    Path("PUT", "/who", Role.ADMIN, who, "who changes"),
    Path("GET", "/wrong", Role.VIEWER, wrong, "an error"),
    Path("GET", "/broken", Role.VIEWER, broken, "a failure"),
)


def test_on_loopback_without_tokens_whoever_is_here_may_do_everything() -> None:
    with serving(PATHS) as ask:
        assert ask("GET", "/who") == (200, {"caller": "local"})
        assert ask("PUT", "/who", {}, **JSON) == (200, {"caller": "local"})


def test_a_foreign_page_in_a_browser_here_may_do_nothing() -> None:
    """It can neither use a name of its own for this machine, nor send a change that needs no leave."""
    with serving(PATHS) as ask:
        assert ask("GET", "/who", host="evil.example:8321")[0] == 403
        assert ask("PUT", "/who", {}, content_type="text/plain")[0] == 415
        assert ask("GET", "/who", host="localhost:8321")[0] == 200
        assert ask("GET", "/who", host="[::1]:8321")[0] == 200


def test_tokens_decide_who_asks_and_what_for() -> None:
    with serving(PATHS, *TOKENS) as ask:
        assert ask("GET", "/who")[0] == 401
        assert ask("GET", "/who", authorization="Bearer wrong")[0] == 401
        assert ask("GET", "/who", authorization="Bearer see") == (200, {"caller": "grafana"})
        status, answer = ask("PUT", "/who", {}, authorization="Bearer see")
        assert (status, answer["error"]["allowed"]) == (403, "admin or more")
        assert ask("PUT", "/who", {}, authorization="Bearer do") == (200, {"caller": "ops"})


def test_every_error_has_the_same_body() -> None:
    with serving(PATHS) as ask:
        assert ask("GET", "/wrong") == (
            400,
            {
                "error": {
                    "code": "invalid",
                    "message": "no such unit (got EUR)",
                    "where": "unit",
                    "allowed": "USD, tokens, calls",
                }
            },
        )
        status, answer = ask("GET", "/nowhere")
        assert (status, answer["error"]["message"]) == (404, "there is nothing at /api/v1/nowhere")
        status, answer = ask("DELETE", "/who", **JSON)
        assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
        assert set(answer["error"]["allowed"].split(", ")) >= {"GET", "PUT"}


def test_a_failure_of_ours_tells_the_caller_nothing_of_our_insides(caplog: pytest.LogCaptureFixture) -> None:
    with serving(PATHS) as ask:
        status, answer = ask("GET", "/broken")
    assert (status, answer["error"]["code"]) == (500, "internal")
    assert "secret" not in json.dumps(answer)
    assert "a secret of ours" in caplog.text


def test_the_api_lists_what_there_is() -> None:
    with serving(PATHS) as ask:
        listed = ask("GET", "")[1]["paths"]
    assert {"method": "GET", "path": "/api/v1/who", "summary": "who asks"} in listed


def test_an_address_that_is_taken_is_said() -> None:
    async def twice() -> None:
        first = ApiServer(ANY, build_app(ApiConfig(ANY), ()))
        taken = await first.start()
        try:
            await ApiServer(taken, build_app(ApiConfig(taken), ())).start()
        finally:
            await first.stop()

    with pytest.raises(CannotListen, match=r"api: cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        asyncio.run(twice())


def test_stopping_does_not_wait_for_a_client_that_stays() -> None:
    """A connection that is kept open for news ends with the collector."""

    async def scenario() -> None:
        server = ApiServer(ANY, build_app(ApiConfig(ANY), PATHS))
        at = await server.start()
        reader, writer = await asyncio.open_connection(at.host, at.port)
        writer.write(b"GET /api/v1/who HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await asyncio.wait_for(server.stop(), 10)
        writer.close()

    asyncio.run(scenario())
