"""The outer methods of SDKs, wrapped so that a refusal leaves them as it is: not repeated, and in no other error.

Those that Stainless generates (openai, anthropic, groq, ...) repeat what their client raises and wrap it, each version
differently. botocore signs before it sends: for another model its call begins anew. Others (google-genai, mistralai,
cohere, ollama, and requests, httpx and aiohttp by themselves) hand on what is raised below them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from otel_cost.guard.raising import REPLACED_MODEL, WITHIN_SDK, Blocked, Redirected
from otel_cost.instrument.patching import Hook, Patch

STAINLESS = (
    *("openai", "anthropic", "groq", "together", "cerebras.cloud.sdk", "writerai", "llama_stack_client"),
    *("llama_api_client", "sambanova", "perplexity", "fireworks"),
)
"""Packages with a `_base_client` that has `SyncAPIClient` and `AsyncAPIClient`."""

_Method = Callable[..., Any]


def _patches_of_stainless(module: ModuleType) -> Iterator[Patch]:
    for name, wrap in (("SyncAPIClient", _wrap), ("AsyncAPIClient", _wrap_async)):
        owner = getattr(module, name, None)
        if owner is not None and "request" in vars(owner):
            yield Patch(owner, "request", wrap)


def _patches_of_botocore(module: ModuleType) -> Iterator[Patch]:
    yield Patch(module.BaseClient, "_make_api_call", _wrap_api_call)


_HOOKS = (
    *(Hook(f"{package}._base_client", _patches_of_stainless) for package in STAINLESS),
    Hook("botocore.client", _patches_of_botocore),
)


def instrument() -> None:
    """Wrap them, each when the app imports it; again changes nothing."""
    for hook in _HOOKS:
        hook.instrument()


def uninstrument() -> None:
    """Leave them as they are."""
    for hook in _HOOKS:
        hook.uninstrument()


def _wrap(original: _Method) -> _Method:
    @functools.wraps(original)
    def request(*args: Any, **kwargs: Any) -> Any:
        token = WITHIN_SDK.set(True)
        try:
            return original(*args, **kwargs)
        except Blocked as blocked:
            raise blocked.error from None
        finally:
            WITHIN_SDK.reset(token)

    return request


def _wrap_async(original: _Method) -> _Method:
    @functools.wraps(original)
    async def request(*args: Any, **kwargs: Any) -> Any:
        token = WITHIN_SDK.set(True)
        try:
            return await original(*args, **kwargs)
        except Blocked as blocked:
            raise blocked.error from None
        finally:
            WITHIN_SDK.reset(token)

    return request


def _wrap_api_call(original: _Method) -> _Method:
    @functools.wraps(original)
    def _make_api_call(client: Any, operation_name: str, api_params: Any) -> Any:
        token = WITHIN_SDK.set(True)
        try:
            try:
                return original(client, operation_name, api_params)
            except Redirected as other:
                said = REPLACED_MODEL.set(api_params.get("modelId"))
                try:
                    return original(client, operation_name, {**api_params, "modelId": other.model})
                finally:
                    REPLACED_MODEL.reset(said)
        except Blocked as blocked:
            raise blocked.error from None
        finally:
            WITHIN_SDK.reset(token)

    return _make_api_call
