"""Getting a price catalogue: from a URL, a file, or a package that is installed; and telling which one it is."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from collector.catalogue.build import from_genai_prices, installed
from collector.catalogue.build.published import read_genai_prices, read_litellm
from collector.catalogue.errors import SourceUnavailable
from collector.limits import MAX_CATALOGUE_BYTES

GENAI_PRICES, LITELLM = from_genai_prices.SOURCE, "litellm"
INSTALLED = "installed"
SILENCE_SECONDS = 15.0
"""To connect, and between two parts. Lower: a slow proxy never answers in time. Higher: a command hangs offline."""
FETCH_SECONDS = 120.0
"""For all of a catalogue. Lower: 3 MB do not come through a bad line. Higher: one that trickles holds the refresh."""

_URL_SCHEMES = ("http://", "https://")
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue as the builder takes it: `name` is genai-prices or litellm, `origin` says where it is from."""

    name: str
    content: Any  # as `collector.catalogue.build.published` reads it
    origin: str


def fetch(source: str) -> Catalogue:
    """The catalogue at a URL or in a file, whichever of the two it is.

    Raises:
        SourceUnavailable: it cannot be fetched, or is no price catalogue that is known here.
    """
    raw = _download(source) if source.startswith(_URL_SCHEMES) else _read(Path(source.removeprefix("file://")))
    return _understood(source, raw)


def from_installed() -> list[Catalogue]:
    """What installed packages carry.

    Raises:
        SourceUnavailable: neither genai-prices nor LiteLLM is installed.
    """
    found: list[Catalogue] = []
    if (providers := installed.genai_prices()) is not None:
        content = from_genai_prices.usable_keys(providers)
        found.append(Catalogue(GENAI_PRICES, content, f"installed genai-prices {_version('genai-prices')}"))
    if (path := installed.litellm_file()) is not None:
        found.append(Catalogue(LITELLM, read_litellm(_read(path)), f"installed litellm {_version('litellm')}"))
    if not found:
        raise SourceUnavailable(
            "neither genai-prices nor litellm is installed in this Python; pip install genai-prices"
        )
    return found


def with_vanished(before: Catalogue, now: Catalogue) -> Catalogue:
    """A catalogue `now` with the models that it had `before` and no longer has, as they were then, at the end."""
    if now.name == LITELLM:
        return Catalogue(now.name, {**before.content, **now.content}, now.origin)
    known = {provider["id"]: provider for provider in before.content}
    listed = {provider["id"] for provider in now.content}
    content = [_with_vanished_models(known.get(provider["id"]), provider) for provider in now.content]
    return Catalogue(now.name, [*content, *(known[each] for each in known if each not in listed)], now.origin)


def _with_vanished_models(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    listed = {model["id"] for model in now["models"]}
    vanished = [model for model in (before or {}).get("models", ()) if model["id"] not in listed]
    return {**now, "models": [*now["models"], *vanished]}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _understood(source: str, raw: bytes) -> Catalogue:
    try:
        kind = type(json.loads(raw))
    except ValueError as error:
        raise SourceUnavailable(f"{source}: no JSON: {error}") from error
    try:
        if kind is list:
            return Catalogue(GENAI_PRICES, _not_empty(read_genai_prices(raw)), source)
        return Catalogue(LITELLM, _not_empty(read_litellm(raw)), source)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceUnavailable(
            f"{source}: neither genai-prices' data.json (a list of providers) nor LiteLLM's "
            f"model_prices_and_context_window.json (an object of models): {error!r}"
        ) from error


def _not_empty(content: Any) -> Any:
    if not content:
        raise ValueError("it has no models")
    return content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CATALOGUE_BYTES + 1)
    except OSError as error:
        raise SourceUnavailable(f"{path}: cannot be read: {error.strerror or error}") from error
    _check_size(str(path), len(content))
    return content


def _download(url: str) -> bytes:
    """The body of a URL; proxies are those of the environment."""
    deadline_seconds = time.monotonic() + FETCH_SECONDS
    try:
        with urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as answer:
            body = bytearray()
            while chunk := answer.read1(_CHUNK_BYTES):
                body += chunk
                _check_size(url, len(body))
                if time.monotonic() > deadline_seconds:
                    raise SourceUnavailable(f"{url}: not complete after {FETCH_SECONDS:.0f} s")
            return bytes(body)
    except urllib.error.HTTPError as error:
        raise SourceUnavailable(f"{url}: HTTP {error.code} {error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:  # no route, no name, silence, TLS, no URL
        reason = getattr(error, "reason", None) or error
        raise SourceUnavailable(f"{url}: cannot be fetched: {reason}") from error


def _check_size(source: str, size_bytes: int) -> None:
    if size_bytes > MAX_CATALOGUE_BYTES:
        raise SourceUnavailable(f"{source}: more than {MAX_CATALOGUE_BYTES >> 20} MiB: no price catalogue")
