"""What the URL of a Google API says: model, action, and where a Vertex AI host processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from otel_cost.normalise.vocabulary import GEMINI, VERTEX

_OWN_PARENTS = ("tunedModels", "endpoints")
"""Collections that are part of a model's name: what is in them is the user's own."""

_HOST_PLACE = re.compile(r"//(?:([a-z0-9-]+)-aiplatform\.|aiplatform\.([a-z0-9-]+)\.rep\.)")
_PATH_PLACE = re.compile(r"/locations/([^/?#:]+)")
_CACHED_URLS = 512


class Place(NamedTuple):
    """`gemini-2.5-flash:generateContent` and where it was asked."""

    model: str | None
    action: str
    is_vertex: bool
    context: Mapping[str, str]


@lru_cache(maxsize=_CACHED_URLS)
def place_of(url: str) -> Place:
    """What the URL says. Source: the REST references of the Gemini API and of Vertex AI (also its express mode)."""
    path = url.partition("?")[0].partition("#")[0]
    head, _, last = path.rstrip("/").rpartition("/")
    name, colon, action = unquote(last).rpartition(":")
    if not colon:
        action = ""
    if name == "v1internal":  # Code Assist, whose body names the model
        name = ""
    parent = head.rpartition("/")[2]
    model = f"{parent}/{name}" if name and parent in _OWN_PARENTS else name or None
    is_vertex = "aiplatform" in path or "/publishers/" in path or "/projects/" in path
    found = _PATH_PLACE.search(path) or _HOST_PLACE.search(path)
    location = next(filter(None, found.groups()), None) if found is not None and is_vertex else None
    context = MappingProxyType({"location": unquote(location)} if location else {})
    return Place(model, action, is_vertex, context)


def provider_at(place: Place, provider: str) -> str:
    """The provider that was found by the host; of an unknown host, whose shape the path has."""
    return provider or (VERTEX if place.is_vertex else GEMINI)
