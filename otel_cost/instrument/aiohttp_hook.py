"""aiohttp: a request of a `ClientSession` is one exchange.

Redirects, and what a client middleware repeats, are inside; the response is the last one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument import observe
from otel_cost.instrument.guard import STATS
from otel_cost.instrument.patching import Hook, Patch

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    _Send = Callable[..., Coroutine[Any, Any, ClientResponse]]


def _patches(client: ModuleType) -> Iterator[Patch]:
    yield Patch(client.ClientSession, "_request", _wrap_request)


_HOOK = Hook("aiohttp.client", _patches)
instrument = _HOOK.instrument
uninstrument = _HOOK.uninstrument


def _wrap_request(original: _Send) -> _Send:
    from otel_cost.instrument import aiohttp_exchange as exchanges  # it imports aiohttp

    @functools.wraps(original)
    async def _request(self: ClientSession, method: str, str_or_url: Any, **options: Any) -> ClientResponse:
        if not _HOOK.is_on:
            return await original(self, method, str_or_url, **options)
        exchange = None
        try:
            options = exchanges.with_payload(self, options)
            request = exchanges.request_of(self, method, str_or_url, options)
            if observe.gate is None:
                exchange = observe.begin(request, "aiohttp")
            else:
                exchange = await observe.begin_async(request, "aiohttp")
        except BudgetError:
            raise
        except Exception as error:
            STATS.failed("aiohttp_hook.begin", error)
        if exchange is None:
            return await original(self, method, str_or_url, **options)
        if exchange.replacement_body is not None:
            options = exchanges.with_body(options, exchange.replacement_body) or options
        if exchange.replacement_url is not None:
            str_or_url, options = exchanges.with_url(options, exchange.replacement_url) or (str_or_url, options)
        try:
            response = await original(self, method, str_or_url, **options)
        except BaseException as error:
            exchange.leave()
            exchanges.failed(exchange, error)
            raise
        try:
            is_followed = exchanges.responded(exchange, self, response, options)
        except Exception as error:
            STATS.failed("aiohttp_hook.responded", error)
            is_followed = False
        if not is_followed:
            exchange.leave()
            exchange.closed()
        return response

    return _request
