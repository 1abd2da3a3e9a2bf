"""Who sends, and to which organisation what they send belongs.

A token that names an organisation decides it: a sender cannot say another one. What a sender says itself (`X-Org-ID`,
an attribute of the resource) counts only where the config trusts it to, in the order that the config gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from collector.decode.request import NO_ORIGIN, Origin
from collector.errors import MalformedRequest, PermissionDenied, Unauthenticated
from otel_cost.attributes import OTEL_COST_ORGANIZATION

DEFAULT_ORGANIZATION = "default"
MAX_ORGANIZATION_CHARS = 200
MAX_TAG_CHARS = 200


class Source(StrEnum):
    """Where a sender may say whose its spans are."""

    HEADER = "header"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class IngestToken:
    """A secret that a sender has to show: itself, or its SHA-256 in hex."""

    name: str  # stands on every span that it sends
    secret: str = ""
    sha256: str = ""
    organization: str | None = None  # whose its spans are; None: what the sender says, if anything
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Owner dimension -> who pays where nobody else says."""

    @property
    def digest(self) -> bytes:
        """What the digest of a shown secret has to be."""
        return bytes.fromhex(self.sha256) if self.sha256 else sha256(self.secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """Without tokens everybody may send."""

    tokens: tuple[IngestToken, ...] = ()
    sources: tuple[Source, ...] = ()  # the first that says something counts
    attribute: str = OTEL_COST_ORGANIZATION
    default: str | None = DEFAULT_ORGANIZATION  # where nobody says; None: such spans are refused


class Sender(NamedTuple):
    """Whose a request's spans are, unless its resources say; and what else is known of who sent it."""

    org_id: str
    origin: Origin = NO_ORIGIN


Identify = Callable[[str | None, str | None], Sender]
"""The headers `authorization` and `x-org-id` -> who sends. Raises `Unauthenticated`, `PermissionDenied`,
`MalformedRequest`."""


def anybody(authorization: str | None, organization: str | None) -> Sender:  # noqa: ARG001 - whatever the sender says
    """Everything belongs to one organisation: a collector on loopback needs no tokens."""
    return _ANYBODY


_ANYBODY = Sender(DEFAULT_ORGANIZATION)


def identify(config: SenderConfig) -> Identify:
    """Who sends, as a config has it."""
    return anybody if config == SenderConfig() else _Senders(config)


class _Senders:
    """Tokens are looked up by digest, so that time tells nothing of them. Answers are made once."""

    def __init__(self, config: SenderConfig) -> None:
        self._config = config
        self._reads_header = Source.HEADER in config.sources
        self._tokens = {token.digest: (token, _origin(config, token)) for token in config.tokens}
        self._nobody = _origin(config, None)

    def __call__(self, authorization: str | None, organization: str | None) -> Sender:
        token, origin = self._known(authorization) if self._tokens else (None, self._nobody)
        said = _organization(organization) if self._reads_header else None
        if token is not None and token.organization is not None:
            if said not in (None, token.organization):
                raise PermissionDenied(f"the token {token.name} may not send for the organisation {said}")
            return Sender(token.organization, origin)
        if said is not None and self._config.sources[0] is Source.HEADER and origin.organization_key:
            return Sender(said, Origin(origin.token, origin.tags))
        return Sender(self._checked(said or self._config.default, origin), origin)

    def _checked(self, organization: str | None, origin: Origin) -> str:
        """Nothing where only resources can still say."""
        if organization is None and not origin.organization_key:
            raise PermissionDenied("nobody says to which organisation the spans belong: send X-Org-ID")
        return organization or ""

    def _known(self, authorization: str | None) -> tuple[IngestToken, Origin]:
        scheme, _, shown = (authorization or "").partition(" ")
        found = self._tokens.get(sha256(shown.strip().encode("utf-8", "surrogateescape")).digest())
        if scheme.lower() != "bearer" or found is None:
            what = "is not known" if authorization else "is needed"
            raise Unauthenticated(f"an ingest token {what}: authorization: Bearer TOKEN")
        return found


def _origin(config: SenderConfig, token: IngestToken | None) -> Origin:
    """What stands on the spans of a token's senders."""
    is_decided = token is not None and token.organization is not None
    key = config.attribute if Source.RESOURCE in config.sources and not is_decided else ""
    if token is None:
        return Origin(organization_key=key) if key else NO_ORIGIN
    return Origin(token.name, tuple(sorted(token.tags.items())), key)


def _organization(said: str | None) -> str | None:
    if said is None or not said.strip():
        return None
    name = said.strip()
    if len(name) > MAX_ORGANIZATION_CHARS or not name.isprintable():
        raise MalformedRequest("X-Org-ID is no organisation's name")
    return name
