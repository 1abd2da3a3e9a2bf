"""Credentials that prove nothing, each made as somebody would who wants to be believed, and good ones to compare."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from collector.serve.api.config import ApiToken, Role

ISSUER, AUDIENCE = "https://login.example.com/", "otel-cost"
OWN, OTHER = "acme", "globex"
SIGNING = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = SIGNING.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def claims(**changed: object) -> dict[str, object]:
    """Those of a good JWT of the first organisation, and what is changed; None: left out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 3600, "sub": "ann", "org_id": OWN, "role": "admin"} | changed
    return {name: value for name, value in said.items() if value is not None}


def signed(key: Any = SIGNING, algorithm: str = "RS256", head: Mapping[str, Any] | None = None, **said: object) -> str:
    return jwt.encode(claims(**said), key, algorithm, dict(head or {}))


def by_hand(head: Mapping[str, object], signature: bytes = b"") -> str:
    """A JWT that no library would make."""
    parts = (json.dumps(head).encode(), json.dumps(claims()).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hmac_with_the_public_key() -> str:
    """The public key as the secret of an HMAC: who takes the algorithm from the token believes it (CVE-2015-9235)."""
    unsigned = by_hand({"alg": "HS256", "typ": "JWT"}).rstrip(".")
    mac = hmac.new(PUBLIC_PEM, unsigned.encode(), sha256).digest()
    return f"{unsigned}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def refused_credentials() -> dict[str, dict[str, str]]:
    """Name -> headers that prove nothing, or not for that organisation."""
    now = int(time.time())
    tokens = {
        "unknown token": "nobody-0123456789abcdef",
        "expired": signed(exp=now - 60),
        "not yet valid": signed(nbf=now + 600),
        "issued in the future": signed(iat=now + 600),
        "without an end": signed(exp=None),
        "end that is no time": signed(exp="never"),
        "other audience": signed(aud="another"),
        "without an audience": signed(aud=None),
        "other issuer": signed(iss="https://evil.example.com/"),
        "without an issuer": signed(iss=None),
        "alg none": by_hand({"alg": "none", "typ": "JWT"}),
        "alg None": by_hand({"alg": "None", "typ": "JWT"}, b"x"),
        "no alg": by_hand({"typ": "JWT"}, b"x"),
        "HMAC with the public key": hmac_with_the_public_key(),
        "stranger's key": signed(STRANGER),
        "stranger's key of another kind": signed(ec.generate_private_key(ec.SECP256R1()), "ES256"),
        "other algorithm of the same key": signed(algorithm="RS512"),
        "key of its own in the head": signed(
            STRANGER, head={"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}
        ),
        "unknown extension": signed(head={"crit": ["b64"], "b64": False}),
        "changed claims": _changed(),
        "half a token": signed().rpartition(".")[0],
        "no organisation": signed(org_id=None),
        "organisation of another kind": signed(org_id=7),
        "empty list of organisations": signed(org_id=[]),
    }
    found = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    good = f"Bearer {signed()}"
    return found | {
        "nothing": {},
        "empty": {"Authorization": "Bearer "},
        "basic": {"Authorization": "Basic cm9vdDpyb290"},
        "own JWT, other organisation": {"Authorization": good, "X-Org-ID": OTHER},
        "own JWT, other case": {"Authorization": good, "X-Org-ID": OWN.upper()},
        "own JWT, no name": {"Authorization": good, "X-Org-ID": " "},
        "own token, other organisation": {"Authorization": f"Bearer {own(Role.ADMIN).secret}", "X-Org-ID": OTHER},
        "invented session": {"Cookie": "otel_cost_session=x; __Host-otel_cost_session=x"},
    }


def _changed() -> str:
    head, _, signature = signed().split(".")
    said = urlsafe_b64encode(json.dumps(claims(org_id=OTHER)).encode()).rstrip(b"=").decode()
    return f"{head}.{said}.{signature}"


def own(role: Role) -> ApiToken:
    return ApiToken(f"own-{role.name.lower()}", f"own-{role.name}-0123456789abcdef", role, OWN)
