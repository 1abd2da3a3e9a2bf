"""Who may ask and who may send: `extensions.api`, and tokens and organisations of `receivers.otlp`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from collector.config import values
from collector.config.parts import Endpoint
from collector.config.problems import BadValue
from collector.config.reader import Section
from collector.config.tls import read_server_tls
from collector.receive.senders import (
    DEFAULT_ORGANIZATION,
    MAX_TAG_CHARS,
    IngestToken,
    SenderConfig,
    Source,
)
from collector.serve.api.config import TRACE_PLACE, ApiConfig, ApiToken, JwksUrl, JwtConfig, Role
from otel_cost.attributes import OTEL_COST_ORGANIZATION
from otel_cost.call import DIMENSIONS

MIN_TOKEN_CHARACTERS = 16
"""Shorter secrets can be guessed by trying."""
MIN_HMAC_CHARACTERS = 32
"""The bytes of HS256's digest (RFC 7518, 3.2): a shorter secret can be found by trying, from one JWT."""
MAX_ORGANIZATION_CHARACTERS = 200

_NO_SOURCES: tuple[Source, ...] = ()
SOURCES = tuple(source.value for source in Source)
ROLES = {role.name.lower(): role for role in Role}
KEY_SOURCES = ("secret", "public_key_file", "jwks_file", "jwks_url")


def read_api(part: Section, default: Endpoint) -> ApiConfig:
    """`extensions.api`."""
    endpoint = part.take("endpoint", values.listen_address, default)
    tls = part.section("tls")
    tokens = tuple(_api_token(each) for each in part.sections("tokens"))
    check_names(part, [token.name for token in tokens])
    auth = part.section("auth")
    jwt = auth.section("jwt")
    config = ApiConfig(
        endpoint,
        tokens,
        _jwt(jwt) if "jwt" in auth else None,
        read_server_tls(tls) if "tls" in part else None,
        part.take("session", values.seconds(60, 90 * 86_400), 12 * 3600.0),
        part.take("time_zone", _time_zone, "UTC"),
        jaeger=part.take("jaeger", _trace_url, None),
    )
    auth.close()
    part.close()
    return config


def _time_zone(value: object) -> str:
    name = values.text(value)
    if name not in available_timezones():
        near = get_close_matches(name, available_timezones(), n=1, cutoff=0.5)
        raise BadValue("is not a time zone", got=f"{name}; did you mean {near[0]}?" if near else name)
    return name


def _trace_url(value: object) -> str | None:
    """The address of a trace in Jaeger's page; of its page alone, the rest is known."""
    url = values.text(value)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise BadValue("must be the address of Jaeger's page", got=url)
    return url if TRACE_PLACE in url else f"{url.rstrip('/')}/trace/{TRACE_PLACE}"


def read_senders(part: Section) -> SenderConfig:
    """`auth` and `organization` of `receivers.otlp`."""
    auth, said = part.section("auth"), part.section("organization")
    tokens = tuple(_ingest_token(each) for each in auth.sections("tokens"))
    check_names(auth, [token.name for token in tokens])
    if "auth" in part and not tokens:
        auth.problem(BadValue("must list at least one token"), key="tokens")
    default = said.take("default", organization, DEFAULT_ORGANIZATION)
    is_required = said.take("required", values.boolean, False)
    config = SenderConfig(
        tokens,
        said.take("sources", _sources, _NO_SOURCES),
        said.take("attribute", values.text, OTEL_COST_ORGANIZATION),
        None if is_required else default,
    )
    if is_required and not config.sources and not tokens:
        said.problem(BadValue("needs tokens, or sources that say an organisation"), key="required")
    auth.close()
    said.close()
    return config


def check_names(part: Section, names: list[str]) -> None:
    """Names of tokens are unique: they say who it was."""
    for number, name in enumerate(names):
        if name in names[:number]:
            part.problem(BadValue("another token has this name"), name, key=f"tokens[{number}].name")


def read_secret(part: Section) -> tuple[str, str]:
    """`token` or `sha256` of a token: the secret and its digest, one of them empty."""
    secret, digest = part.take("token", _secret, ""), part.take("sha256", _digest, "")
    if ("token" in part) == ("sha256" in part):
        part.problem(BadValue("is required, or sha256 in its place: one of the two"), key="token")
    return secret, digest


def organization(value: object) -> str:
    """The name of an organisation."""
    written = values.text(value)
    if len(written) > MAX_ORGANIZATION_CHARACTERS or not written.isprintable():
        raise BadValue(f"must be printable, at most {MAX_ORGANIZATION_CHARACTERS} characters")
    return written


def _api_token(part: Section) -> ApiToken:
    name, (secret, digest) = part.require("name", values.text, ""), read_secret(part)
    role = ROLES[part.take("role", values.choice(ROLES), "viewer")]
    token = ApiToken(name, secret, role, part.take("organization", organization, "") or None, digest)
    part.close()
    return token


def _sources(value: object) -> tuple[Source, ...]:
    return tuple(Source(word) for word in values.choices(SOURCES, "source")(value))


def _ingest_token(part: Section) -> IngestToken:
    name, (secret, digest) = part.require("name", _token_name, ""), read_secret(part)
    whose = part.take("organization", organization, "") or None
    token = IngestToken(name, secret, digest, whose, part.take("tags", _tags, MappingProxyType({})))
    part.close()
    return token


def _token_name(value: object) -> str:
    """It stands on every span."""
    written = values.text(value)
    if len(written) > MAX_TAG_CHARS or not written.isprintable():
        raise BadValue(f"must be printable, at most {MAX_TAG_CHARS} characters")
    return written


def _tags(value: object) -> Mapping[str, str]:
    """Owner dimension -> who pays."""
    if not isinstance(value, dict):
        raise BadValue("must pair owners with names", allowed="{team: search, project: checkout}")
    for dimension in value:
        if dimension not in DIMENSIONS:
            raise BadValue("unknown owner", words=DIMENSIONS, got=dimension)
    return MappingProxyType({dimension: _token_name(name) for dimension, name in value.items()})


def _jwt(part: Section) -> JwtConfig:
    issuer = part.require("issuer", values.text, "")
    nobody: tuple[str, ...] = ()
    audience = part.require("audience", _texts, nobody)
    secret = part.take("secret", _hmac_secret, "")
    public_key_file = part.take("public_key_file", values.path, None)
    jwks_file = part.take("jwks_file", values.path, None)
    url = part.take("jwks_url", _key_url, "")
    refresh_seconds = part.take("jwks_refresh", values.seconds(60, 24 * 3600), 3600.0)
    given = [key for key in KEY_SOURCES if key in part]
    if len(given) != 1:
        what = f"needs one of {', '.join(KEY_SOURCES)}" if not given else f"takes one of them: {', '.join(given)}"
        part.problem(BadValue(what))
    default_role = part.take("default_role", values.choice((*ROLES, "none")), "viewer")
    config = JwtConfig(
        issuer,
        audience,
        secret,
        public_key_file,
        jwks_file,
        JwksUrl(url, refresh_seconds) if url else None,
        part.take("leeway", values.seconds(0, 120), 10.0),
        part.take("organization_claim", values.text, "org_id"),
        part.take("role_claim", values.text, "role"),
        part.take("roles", _roles, MappingProxyType({})),
        ROLES.get(default_role),
    )
    part.close()
    return config


def _roles(value: object) -> Mapping[str, Role]:
    """Word of the claim -> role."""
    if not isinstance(value, dict) or not value:
        raise BadValue("must pair words of the claim with roles", allowed="{otel-cost-admins: admin}")
    for role in value.values():
        if role not in ROLES:
            raise BadValue("unknown role", words=ROLES, got=role)
    return MappingProxyType({values.text(word): ROLES[role] for word, role in value.items()})


def _texts(value: object) -> tuple[str, ...]:
    """A text or a list of them."""
    given: Iterable[object] = value if isinstance(value, list) else [value]
    found = tuple(values.text(item) for item in given)
    if not found:
        raise BadValue("must name at least one")
    return found


def _key_url(value: object) -> str:
    """TLS vouches for who answers; on this machine nobody comes between."""
    written = values.http_url(value)
    parts = urlsplit(written)
    if parts.scheme != "https" and not Endpoint(parts.hostname or "", 0).is_loopback:
        raise BadValue("must be https: whoever answers there decides who is believed")
    return values.text(value).strip()


def _hmac_secret(value: object) -> str:
    written = values.text(value)
    if len(written.encode()) < MIN_HMAC_CHARACTERS:
        raise BadValue(f"must have at least {MIN_HMAC_CHARACTERS} characters", got="...")
    if "-----BEGIN" in written:
        raise BadValue("is a key in PEM; that belongs into public_key_file", got="...")
    return written


def _secret(value: object) -> str:
    written = values.text(value)
    if len(written) < MIN_TOKEN_CHARACTERS:
        raise BadValue(f"must have at least {MIN_TOKEN_CHARACTERS} characters", got="...")
    return written


def _digest(value: object) -> str:
    written = values.text(value)
    if not re.fullmatch("[0-9a-fA-F]{64}", written):
        raise BadValue("must be the SHA-256 of a token in hex, as `otel-cost token` prints it", got="...")
    return written.lower()
