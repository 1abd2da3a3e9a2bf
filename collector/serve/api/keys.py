"""Keys that sign JWTs. Each has one algorithm, which no token can change: a token only says which key it means.

So a public key never verifies an HMAC, `none` is no algorithm of any key, and of a published key set the symmetric
ones are left out (RFC 8725, 3.1 and 3.2).
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from collector.errors import StartupError
from collector.serve.api.config import JwksUrl, JwtConfig

logger = logging.getLogger(__name__)

MIN_RSA_BITS = 2048
"""RFC 7518, 3.3."""
MAX_KEYS = 64
"""Of a key set. A token that does not say which key it means is tried with each."""
MAX_KEY_SET_BYTES = 1 << 20
FETCH_SECONDS = 5.0
"""For connecting and for each read. Callers wait so long when a key set has to be fetched first."""
LEAST_SECONDS_BETWEEN_FETCHES = 30.0
"""Whoever sends tokens with invented key ids must not make us ask the provider for each."""
MOST_SECONDS_WITHOUT_NEWS = 24 * 3600.0
"""Keys that could not be confirmed for so long are not believed any more: one of them may have been withdrawn."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key and the only algorithm that it is used with."""

    algorithm: str
    material: Any
    key_id: str | None = None


class KeysUnavailable(Exception):
    """No key is known, for the place that publishes them does not answer."""


class Keys(Protocol):
    """Where keys come from."""

    def known(self) -> Sequence[Key]:
        """Those in hand, without waiting."""

    def is_stale(self) -> bool:
        """Whether `refresh` may bring others."""

    def refresh(self) -> None:
        """Bring the newest ones, waiting for them. Raises KeysUnavailable when none are in hand and none come."""


class FixedKeys:
    """Keys of the config; they change with a restart."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    def known(self) -> Sequence[Key]:
        return self._keys

    def is_stale(self) -> bool:
        return False

    def refresh(self) -> None:
        return


class PublishedKeys:
    """The key set at a URL, fetched when it is first needed, when it is old, and when a token names an unknown key."""

    def __init__(self, source: JwksUrl, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock_seconds = clock_seconds
        self._lock = threading.Lock()
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def known(self) -> Sequence[Key]:
        if self._fetched_at is None or self._clock_seconds() - self._fetched_at > MOST_SECONDS_WITHOUT_NEWS:
            return ()
        return self._keys

    def is_stale(self) -> bool:
        return self._fetched_at is None or self._clock_seconds() - self._fetched_at > self._source.refresh_seconds

    def refresh(self) -> None:
        """Fetch, unless somebody just did; one at a time. A failure is logged, and the keys in hand stay."""
        asked_at = self._clock_seconds()
        with self._lock:
            tried = self._tried_at
            if tried is None or (tried < asked_at and asked_at - tried >= LEAST_SECONDS_BETWEEN_FETCHES):
                self._fetch()
        if not self.known():
            raise KeysUnavailable(f"no keys could be had from {self._source.url}")

    def _fetch(self) -> None:
        self._tried_at = self._clock_seconds()
        try:
            keys = keys_of_set(_get(self._source.url))
        except (OSError, ValueError) as error:
            logger.warning("the keys that sign JWTs could not be fetched from %s: %s", self._source.url, error)
            return
        self._keys, self._fetched_at = keys, self._clock_seconds()


def keys_of(config: JwtConfig) -> Keys:
    """The keys that a config names.

    Raises:
        StartupError: a file cannot be read or holds no key that can be used. The message names it.
    """
    if config.secret:
        return FixedKeys([Key("HS256", config.secret.encode())])
    if config.jwks_url is not None:
        return PublishedKeys(config.jwks_url)
    path = config.public_key_file or config.jwks_file
    if path is None:
        raise StartupError("extensions.api.auth.jwt: no key is given")
    try:
        content = path.read_bytes()
        return FixedKeys([_public_key(content)] if config.public_key_file else keys_of_set(content))
    except OSError as error:
        raise StartupError(f"key file {path}: {error.strerror}") from None
    except ValueError as error:
        raise StartupError(f"key file {path}: {error}") from None


def keys_of_set(content: bytes) -> tuple[Key, ...]:
    """The keys of a JSON Web Key Set that can verify RS256 or ES256.

    Raises:
        ValueError: it is no key set, or none of its keys can be used.
    """
    try:
        listed = json.loads(content)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("is no JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"must list at most {MAX_KEYS} keys")
    keys = tuple(key for each in listed if isinstance(each, dict) and (key := _key_of(each)) is not None)
    if not keys:
        raise ValueError("has no key for RS256 or ES256")
    return keys


def _key_of(said: dict[str, Any]) -> Key | None:
    """One key of a set; None: it is for something else."""
    if said.get("kty") not in ("RSA", "EC") or said.get("use", "sig") != "sig" or "d" in said:
        return None
    try:
        key = _with_algorithm(jwt.PyJWK({name: said[name] for name in said if name != "alg"}).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    key_id = said.get("kid")
    if said.get("alg", key.algorithm) != key.algorithm or not (key_id is None or isinstance(key_id, str)):
        return None
    return Key(key.algorithm, key.material, key_id)


def _public_key(content: bytes) -> Key:
    try:
        if b"BEGIN CERTIFICATE" in content:
            return _with_algorithm(load_pem_x509_certificate(content).public_key())
        return _with_algorithm(load_pem_public_key(content))
    except (UnsupportedAlgorithm, TypeError):
        raise ValueError("no public key that can be used") from None


def _with_algorithm(material: object) -> Key:
    """The key with its algorithm. Raises ValueError."""
    if isinstance(material, RSAPublicKey):
        if material.key_size < MIN_RSA_BITS:
            raise ValueError(f"an RSA key must have at least {MIN_RSA_BITS} bits")
        return Key("RS256", material)
    if isinstance(material, EllipticCurvePublicKey) and isinstance(material.curve, SECP256R1):
        return Key("ES256", material)
    raise ValueError("must be an RSA or a P-256 public key")


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Whoever is believed is named in the config, not by the answer of somebody else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _get(url: str) -> bytes:
    """Raises OSError (urllib's errors are), ValueError."""
    opener = urllib.request.build_opener(_StayHere)
    with opener.open(urllib.request.Request(url, headers={"Accept": "application/json"}), timeout=FETCH_SECONDS) as got:
        content: bytes = got.read(MAX_KEY_SET_BYTES + 1)
    if len(content) > MAX_KEY_SET_BYTES:
        raise ValueError(f"has more than {MAX_KEY_SET_BYTES} bytes")
    return content
