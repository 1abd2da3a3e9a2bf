"""What the providers answer: recorded exchanges, in the order in which the apps ask, told apart by their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from examples.replay import Exchange, load_exchange

HERE = Path(__file__).parent
RECORDED = HERE.parent.parent / "testdata" / "exchanges"
SOON = (("retry-after-ms", "5"),)
"""Instead of what was recorded (half a minute): SDKs wait that long before they try again."""


def _recorded(name: str) -> Exchange:
    return load_exchange(RECORDED / f"{name}.json")


def _constructed(name: str) -> Exchange:
    return load_exchange(HERE / "exchanges" / f"{name}.json")


def _of(exchange: Exchange, model: str, path: str | None = None) -> Exchange:
    """The exchange as that model's: in the request and in the answer."""
    old, new = (exchange.model or "").encode(), model.encode()
    chunks = tuple(chunk.replace(b'"' + old + b'"', b'"' + new + b'"') for chunk in exchange.chunks)
    own_path = exchange.path.replace(exchange.model or model, model)
    return replace(exchange, name=f"{exchange.name} as {model}", model=model, path=path or own_path, chunks=chunks)


def _cut(exchange: Exchange, chunks: int) -> Exchange:
    """The beginning of a stream: what follows is never sent, so that it is certain what was delivered."""
    return replace(exchange, chunks=exchange.chunks[:chunks], is_cut=True)


def _soon(exchange: Exchange) -> Exchange:
    kept = tuple(header for header in exchange.headers if not header[0].startswith("retry-after"))
    return replace(exchange, headers=(*kept, *SOON))


def _plain(exchange: Exchange) -> Exchange:
    """Asked without a beta of the API."""
    return replace(exchange, path="/v1/messages")


def _openai() -> list[Exchange]:
    chat = "/v1/chat/completions"
    both_turns = [_recorded("openai/chat_tool_calls"), _recorded("openai/chat_tool_result_turn")]
    retried = [
        _soon(_of(_recorded("openai/error_429_rate_limit"), "gpt-5-nano")),
        _soon(_of(_recorded("openai/error_500_server_error"), "gpt-5-nano", chat)),
        _recorded("openai/chat_reasoning_gpt5nano"),
    ]
    return [
        _recorded("openai/chat_cache_read_4o"),
        _recorded("openai/responses_function_call"),
        _recorded("openai/chat_stream_parallel_tools_usage"),
        _recorded("openai/responses_stream_cache_read"),
        _recorded("openai/chat_stream_include_usage_false"),
        *both_turns * 2,
        _recorded("openai/chat_reasoning_o3mini"),
        _recorded("openai/chat_invalid_key_401"),
        *retried * 2,
        _cut(_recorded("openai/chat_stream_no_usage_gpt5nano"), 9),
    ]


def _anthropic() -> list[Exchange]:
    retried = [
        _soon(_recorded("anthropic/error_529_overloaded")),
        _soon(_constructed("anthropic_error_500")),
        _plain(_recorded("anthropic/cache_read_and_write")),
    ]
    return [
        _recorded("anthropic/cache_write_1h"),
        _recorded("anthropic/messages_stream_tools"),
        _recorded("anthropic/cache_read_stream"),
        _recorded("anthropic/messages_tool_use_parallel"),
        _recorded("anthropic/cache_read"),
        _recorded("anthropic/messages_tool_result_turn"),
        _of(_recorded("anthropic/error_400"), "claude-opus-4-1"),
        *retried * 2,
        _cut(_plain(_recorded("anthropic/messages_stream_thinking")), 15),
    ]


def _google() -> list[Exchange]:
    both_turns = [_constructed("gemini_function_call"), _recorded("gemini/generate_basic")]
    retried = [
        _of(_recorded("gemini/error_429_quota"), "gemini-2.0-flash-lite"),
        _constructed("gemini_error_503"),
        _of(_recorded("gemini/generate_basic"), "gemini-2.0-flash-lite"),
    ]
    exchanges = [
        _recorded("gemini/generate_thoughts"),
        _recorded("gemini/stream_sse_final_usage"),
        *both_turns * 2,
        _of(_recorded("gemini/generate_basic"), "gemini-2.5-flash-lite"),
        _of(_recorded("gemini/error_400_bad_key"), "gemini-2.5-pro"),
        *retried * 2,
        _cut(_of(_recorded("gemini/stream_sse_final_usage"), "gemini-2.5-pro"), 1),
    ]
    # Releases of the SDK differ in the version of the API.
    return [replace(each, path=each.path.removeprefix("/v1beta")) for each in exchanges]


def answers() -> Mapping[str, list[Exchange]]:
    """SDK -> what a replay server answers to its app."""
    return {"openai": _openai(), "anthropic": _anthropic(), "google-genai": _google()}
