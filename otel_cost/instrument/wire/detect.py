"""Which requests are model calls: known hosts by name, unknown ones by path and the shape of what is sent.

Every HTTP request of the app passes here, so a miss costs one look at the last words of the path. API modules
contribute `ROUTES`; hosts and names of providers are those of `otel_cost.normalise.vocabulary`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from otel_cost.instrument.wire import (
    anthropic_batches,
    anthropic_complete,
    anthropic_messages,
    bedrock_agents,
    bedrock_converse,
    bedrock_invoke,
    cohere,
    gemini,
    gemini_batches,
    gemini_interactions,
    gemini_predict,
    google_partners,
    huggingface,
    mistral,
    mistral_conversations,
    ollama,
    openai_audio,
    openai_batches,
    openai_chat,
    openai_images,
    openai_jobs,
    openai_other,
    openai_responses,
    openai_videos,
    replicate,
    rerank,
    speech_apis,
    voyage,
    watsonx,
)
from otel_cost.instrument.wire.hosts import guessed, provider_of
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Asked, Request, maker
from otel_cost.instrument.wire.values import NOTHING

MODULES: tuple[Iterable[Route], ...] = (
    openai_chat.ROUTES,
    openai_responses.ROUTES,
    openai_images.ROUTES,
    openai_audio.ROUTES,
    openai_batches.ROUTES,
    openai_jobs.ROUTES,
    openai_videos.ROUTES,
    openai_other.ROUTES,
    anthropic_messages.ROUTES,
    anthropic_batches.ROUTES,
    anthropic_complete.ROUTES,
    bedrock_converse.ROUTES,
    bedrock_invoke.ROUTES,
    gemini.ROUTES,
    gemini_interactions.ROUTES,
    gemini_predict.ROUTES,
    gemini_batches.ROUTES,
    google_partners.ROUTES,
    cohere.ROUTES,
    voyage.ROUTES,
    ollama.ROUTES,
    mistral.ROUTES,
    mistral_conversations.ROUTES,
    watsonx.ROUTES,
    huggingface.ROUTES,
    replicate.ROUTES,
    speech_apis.ROUTES,
    bedrock_agents.ROUTES,
    rerank.ROUTES,
)
"""The routes of every API module. A longer path wins over a shorter one, then a route of certain providers over one of
any, then an earlier module over a later one."""


MAX_URLS = 1024
"""URLs of model APIs whose routes are remembered. An app has some dozens, and one per job that it polls."""


class _Known(NamedTuple):
    route: Route
    match: Callable[[str], re.Match[str] | None]


def _rank(known: _Known) -> tuple[int, bool]:
    return -known.route.path.count("/"), known.route.providers is None


def _pattern(template: str) -> str:
    """`models/{model}:generateContent` as a pattern of a path's end; a `{name}` is one segment, or part of one."""
    parts = re.split(r"\{[a-z_]+\}", template.strip("/"))
    return "/" + r"[^/?#]+".join(re.escape(part) for part in parts) + r"/?\Z"


def _index() -> tuple[Mapping[str, tuple[_Known, ...]], ...]:
    """Routes by the last literal word of their path, for each of its places: last, action after a colon, one before."""
    places: tuple[dict[str, list[_Known]], ...] = ({}, {}, {})
    for routes in MODULES:
        for route in routes:
            segments = route.path.strip("/").split("/")
            last = segments[-1]
            word, place = (last, 0) if "{" not in last else (last.rpartition(":")[2], 1)
            if "{" in word:
                word, place = segments[-2], 2
            places[place].setdefault(word, []).append(_Known(route, re.compile(_pattern(route.path)).search))
    return tuple({word: tuple(sorted(found, key=_rank)) for word, found in place.items()} for place in places)


_LAST, _ACTIONS, _BEFORE = _index()


class _Found(NamedTuple):
    """What a URL says by itself."""

    authority: str
    path: str
    provider: str | None  # None: the host is not in our table
    routes: tuple[tuple[Route, str], ...]  # each with what stands before its path


_asked = maker(Asked)
_plain: dict[tuple[str, str], _Found] = {}  # by method and URL, of URLs that end with their path


def asked(request: Request, hosts: Mapping[str, str] = NOTHING) -> Asked | None:
    """What a request asks for; None for one that is no model API's. `hosts`: host (or host:port) -> provider, given
    by the user. Never raises."""
    method, url, _, body, form = request
    found = _plain.get((method, url)) or _recognised(method, url)
    if found is None:
        return None
    authority, path, provider, routes = found
    if hosts:
        provider = provider_of(authority, path, hosts)
    for route, before in routes:
        _, api, _, providers, shape_of, shape = route
        if provider is not None:
            if providers is None or provider in providers:
                return api.ask(request, provider)
        elif b'"model"' in body if shape is says_model and body and form is None else shape(request):
            answer = api.ask(request, "")
            api, said, *what, _ = answer
            guess = shape_of or guessed(authority, before, answer.model)
            if providers is None or guess in providers:
                return _asked((api, said or guess, *what, not shape_of))
    return None


def _recognised(method: str, url: str) -> _Found | None:
    """What the URL of a model API says; None of another."""
    end = url.find("?")
    path = url if end < 0 else url[:end]
    if "#" in path:
        path = path.partition("#")[0]  # Mistral's SDK tells its own streams apart so
    head, _, last = path.rpartition("/")
    if not last:
        head, _, last = head.rpartition("/")
    if (
        last not in _LAST
        and head[head.rfind("/") + 1 :] not in _BEFORE
        and (":" not in last or last.rpartition(":")[2] not in _ACTIONS)
    ):
        return None
    found = _found(method, path)
    if path == url:  # a query may hold a key, and is not kept
        if len(_plain) >= MAX_URLS:
            _plain.clear()
        _plain[method, url] = found
    return found


@lru_cache(maxsize=MAX_URLS)
def _found(method: str, path: str) -> _Found:
    authority = path.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
    head, _, last = path.rstrip("/").rpartition("/")
    candidates = (
        _LAST.get(last, ()) + _ACTIONS.get(last.rpartition(":")[2], ()) + _BEFORE.get(head.rpartition("/")[2], ())
    )
    fitting = ((route, found) for route, match in candidates if method in route.methods and (found := match(path)))
    routes = tuple((route, path[: found.start()]) for route, found in fitting)
    return _Found(authority, path, provider_of(authority, path, NOTHING), routes)
