"""Run a function, coroutine or generator inside a context manager, without leaking it between the steps.

A generator runs in pieces, and between them its caller is at work. So each step of a (sync or async) generator runs
in the generator's own `contextvars.Context`: what it has entered stays entered for it and is never seen by the caller.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

Scopes = Callable[[], AbstractContextManager[object]]
F = TypeVar("F", bound=Callable[..., Any])


def within(new_scope: Scopes, function: F) -> F:
    """`function` with its whole body inside a fresh `new_scope()` per call, whatever kind of function it is."""
    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(new_scope, function)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(new_scope, function)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(new_scope, function)
    else:
        wrapper = _plain(new_scope, function)
    return cast(F, functools.wraps(function)(wrapper))


def _plain(new_scope: Scopes, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with new_scope():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(new_scope: Scopes, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with new_scope():
            return await function(*args, **kwargs)

    return wrapper


def _own_context(new_scope: Scopes) -> Context:
    own = copy_context()
    own.run(new_scope().__enter__)  # never left: the context is dropped with the generator
    return own


def _generator(new_scope: Scopes, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        own = _own_context(new_scope)
        steps = function(*args, **kwargs)
        try:
            item = own.run(next, steps)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    own.run(steps.close)
                    raise
                except BaseException as error:
                    item = own.run(steps.throw, error)
                else:
                    item = own.run(steps.send, sent)
        except StopIteration as stop:
            return stop.value

    return wrapper


def _async_generator(new_scope: Scopes, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        own = _own_context(new_scope)
        steps = function(*args, **kwargs)
        step = anext(steps)
        while True:
            try:
                item = await _Inside(own, step)
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await _Inside(own, steps.aclose())
                raise
            except BaseException as error:
                step = steps.athrow(error)
            else:
                step = steps.asend(sent)

    return wrapper


class _Inside:
    """An awaitable whose every step runs in `own`, while the event loop keeps its own context in between."""

    __slots__ = ("_awaited", "_own")

    def __init__(self, own: Context, awaited: Awaitable[Any]) -> None:
        self._own = own
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._own.run(self._awaited.__await__)
        try:
            waiting_for = self._own.run(next, steps)
            while True:
                try:
                    sent = yield waiting_for
                except GeneratorExit:
                    self._own.run(steps.close)
                    raise
                except BaseException as error:
                    waiting_for = self._own.run(steps.throw, error)
                else:
                    waiting_for = self._own.run(steps.send, sent)
        except StopIteration as stop:
            return stop.value
