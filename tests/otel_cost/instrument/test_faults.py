"""Whatever of ours raises, wherever: the app gets what it would have got, and a counter moves.

The functions are found by running: all that belong to `otel_cost` and are called, from our own code, while the calls of
`CALLS` are made. Each in turn is made to raise at every call.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import CodeType, FrameType, FunctionType
from typing import Any

import aiohttp
import boto3
import openai
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

import otel_cost
from otel_cost.instrument import stats
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, USAGE, Observed, answer, events, observed, refusal
from tests.otel_cost.instrument.scripted_server import Script
from tests.support.aws_frames import frame

PACKAGE = otel_cost.__path__[0]


def _raise(*_: object, **__: object) -> Any:
    raise ArithmeticError("injected")  # its code runs with the globals of others: a builtin is there


def _body(**other: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": MESSAGES, **other}


def _openai(app: Observed, **other: Any) -> Any:
    client = app.client(max_retries=1)
    said = client.chat.completions.create(**_body(**other))
    return [chunk.model_dump() for chunk in said] if other.get("stream") else said.model_dump()


def _openai_abandoned(app: Observed) -> Any:
    stream = app.client(max_retries=0).chat.completions.create(**_body(stream=True))
    first = next(iter(stream)).model_dump()
    stream.close()
    return first


def _openai_async(app: Observed) -> Any:
    async def call() -> Any:
        async with app.async_client(max_retries=0) as client:
            return [chunk.model_dump() async for chunk in await client.chat.completions.create(**_body(stream=True))]

    return asyncio.run(call())


def _requests(app: Observed) -> Any:
    said = requests.post(f"{app.server.url}/v1/chat/completions", json=_body(), timeout=20)
    return said.status_code, said.json()


def _requests_stream(app: Observed) -> Any:
    url = f"{app.server.url}/v1/chat/completions"
    with requests.post(url, json=_body(stream=True), timeout=20, stream=True) as said:
        return list(said.iter_lines())


def _aiohttp(app: Observed, **other: Any) -> Any:
    async def call() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{app.server.url}/v1/chat/completions", json=_body(**other)) as said,
        ):
            return said.status, [line async for line in said.content]

    return asyncio.run(call())


SESSION = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
BEDROCK: dict[str, Any] = {
    "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
    "messages": [{"role": "user", "content": [{"text": "Say hello."}]}],
}
BEDROCK_USAGE = {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}


def _bedrock(app: Observed) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return SESSION.client("bedrock-runtime", endpoint_url=app.server.url, config=config)


def _boto3(app: Observed) -> Any:
    said = _bedrock(app).converse(**BEDROCK)
    return said["output"], said["usage"]


def _boto3_stream(app: Observed) -> Any:
    return list(_bedrock(app).converse_stream(**BEDROCK)["stream"])


def _converse() -> Script:
    said = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 9},
    }
    return Script((json.dumps(said).encode(),), framing="length", content_type="application/json")


def _converse_stream() -> Script:
    told: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 9}}),
    ]
    frames = tuple(frame(name, payload) for name, payload in told)
    return Script(frames, content_type="application/vnd.amazon.eventstream")


STREAM = Script(events("Hello", " you", usage=USAGE))
CALLS: dict[str, tuple[Callable[[Observed], Any], list[Script]]] = {
    "whole": (_openai, [answer()]),
    "stream": (lambda app: _openai(app, stream=True), [STREAM]),
    "stream without usage": (lambda app: _openai(app, stream=True), [Script(events("Hello"))]),
    "abandoned": (_openai_abandoned, [STREAM]),
    "refused": (_openai, [refusal(400)]),
    "repeated": (_openai, [refusal(429), answer()]),
    "async stream": (_openai_async, [STREAM]),
    "requests": (_requests, [answer()]),
    "requests stream": (_requests_stream, [STREAM]),
    "aiohttp": (_aiohttp, [answer()]),
    "aiohttp stream": (lambda app: _aiohttp(app, stream=True), [STREAM]),
    "boto3": (_boto3, [_converse()]),
    "boto3 stream": (_boto3_stream, [_converse_stream()]),
    "boto3 refused": (_boto3, [refusal(400)]),
}


def call(app: Observed, name: str) -> str:
    """What the app sees of one call, errors included."""
    make, scripts = CALLS[name]
    app.server.scripts[:] = scripts
    app.server._turn = 0
    try:
        return json.dumps(make(app), default=repr)
    except (openai.APIError, ClientError) as error:
        return repr(error)
    finally:
        app.recorder.provider.force_flush()


def failures(app: Observed) -> int:
    """All failures that were counted."""
    counted = [stats(), app.recorder.processor.stats()]
    return sum(number for found in counted for name, number in found.items() if name.startswith("failed"))


def called(app: Observed) -> dict[CodeType, list[str]]:
    """Our code that our own code calls -> the calls of the app in which it does."""
    found: dict[CodeType, list[str]] = {}
    for name in CALLS:
        call(app, name)  # so that nothing is made for the first time
        seen: set[CodeType] = set()

        def note(frame: FrameType, event: str, _: object, seen: set[CodeType] = seen) -> None:
            back = frame.f_back
            files = (frame.f_code.co_filename, "" if back is None else back.f_code.co_filename)
            if event == "call" and all(file.startswith(PACKAGE) for file in files):
                seen.add(frame.f_code)

        sys.setprofile(note)
        try:
            call(app, name)
        finally:
            sys.setprofile(None)
        for code in seen:
            found.setdefault(code, []).append(name)
    return found


def functions() -> Iterator[FunctionType]:
    """Every function and method of ours that can be found by name."""
    for module_info in pkgutil.walk_packages([PACKAGE], "otel_cost."):
        if module_info.name.endswith("__main__"):
            continue
        module = importlib.import_module(module_info.name)
        owners = [module, *(value for value in vars(module).values() if isinstance(value, type))]
        for owner in owners:
            for value in vars(owner).values():
                plain = getattr(value, "__func__", value)
                plain = getattr(plain, "fget", plain)
                plain = getattr(plain, "__wrapped__", plain)
                if isinstance(plain, FunctionType) and plain.__module__ == module.__name__:
                    yield plain


@contextmanager
def raising(function: FunctionType) -> Iterator[None]:
    """The function raises whenever it is called, by whatever name it was imported."""
    code = function.__code__
    function.__code__ = _raise.__code__
    try:
        yield
    finally:
        function.__code__ = code


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_everywhere", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_whatever_raises_the_app_gets_the_same_and_it_is_counted(is_everywhere: bool) -> None:
    """Every function raises in one kind of call, all kinds in turn; for a soak, in each kind that reaches it."""
    with observed(answer()) as app:
        expected = {name: call(app, name) for name in CALLS}
        executed = called(app)
        targets = {f.__code__: f for f in functions() if f.__code__ in executed and not f.__code__.co_freevars}
        assert len(targets) > 150
        changed, uncounted = [], []
        for number, (code, function) in enumerate(targets.items()):
            where = f"{function.__module__}.{function.__qualname__}"
            names = executed[code]
            for name in names if is_everywhere else [names[number % len(names)]]:
                before = failures(app)
                with raising(function):
                    try:
                        result = copy_context().run(call, app, name)
                    except ArithmeticError:
                        result = "raised"
                if result != expected[name]:
                    changed.append((where, name))
                if failures(app) == before:
                    uncounted.append((where, name))
                call(app, "whole")
    assert changed == []
    assert uncounted == []
