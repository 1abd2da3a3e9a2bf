"""Keys that sign JWTs: one algorithm each, of files and of a provider that publishes and changes them."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from collector.errors import StartupError
from collector.serve.api.config import JwksUrl, JwtConfig
from collector.serve.api.keys import LEAST_SECONDS_BETWEEN_FETCHES, KeysUnavailable, PublishedKeys, keys_of, keys_of_set
from tests.collector.serve.api.asking import ISSUER, SEES_ALL, api, served, signed

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    found: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return found


def jwk(key: Any, key_id: str | None = None, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    said: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    said.pop("key_ops", None)
    return said | ({} if key_id is None else {"kid": key_id}) | more


@pytest.mark.parametrize(("key", "algorithm", "wrong"), [(RSA_KEY, "RS256", "RS384"), (EC_KEY, "ES256", None)])
def test_a_public_key_decides_the_algorithm(tmp_path: Path, key: Any, algorithm: str, wrong: str | None) -> None:
    (tmp_path / "key.pem").write_bytes(pem(key))
    with served(api(JwtConfig(ISSUER, ("otel-cost",), public_key_file=tmp_path / "key.pem"))) as ask:
        assert ask("GET", "/who", Authorization=signed(key, algorithm, {"kid": "any"})).status == 200
        if wrong is not None:
            assert ask("GET", "/who", Authorization=signed(key, wrong)).status == 401


def test_keys_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    """With the file's name; a private key, or one that is too weak, is none."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    other = ed25519.Ed25519PrivateKey.generate()
    for content in (b"", b"nonsense", pem(weak), pem(other), pem(ec.generate_private_key(ec.SECP384R1()))):
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(StartupError, match=r"key file .*key\.pem: "):
            keys_of(JwtConfig(ISSUER, ("otel-cost",), public_key_file=tmp_path / "key.pem"))
    with pytest.raises(StartupError, match="No such file"):
        keys_of(JwtConfig(ISSUER, ("otel-cost",), jwks_file=tmp_path / "none"))


def test_of_a_key_set_only_what_verifies_signatures_is_used() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256", "kid": "hmac"}
    said = [
        secret,
        jwk(RSA_KEY, "good"),
        jwk(RSA_KEY, "for encryption", use="enc"),
        jwk(RSA_KEY, "of another algorithm", alg="RS512"),
        jwk(EC_KEY, "curve", alg="ES256"),
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC"},
        7,
    ]
    found = keys_of_set(json.dumps({"keys": said}).encode())
    assert [(key.key_id, key.algorithm) for key in found] == [("good", "RS256"), ("curve", "ES256")]
    for wrong in (b"{", b"[]", b'{"keys": {}}', json.dumps({"keys": [secret]}).encode()):
        with pytest.raises(ValueError, match=r"(?i)key"):
            keys_of_set(wrong)


class Provider:
    """An identity provider that publishes its keys."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                payload = json.dumps({"keys": provider.keys}).encode()
                self.send_response(provider.status)
                if provider.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_published_keys_are_fetched_once_and_again_for_a_new_key_but_not_for_every_invented_one() -> None:
    clock = [1000.0]
    with Provider() as provider:
        provider.keys = [jwk(RSA_KEY, "one")]
        keys = PublishedKeys(JwksUrl(provider.url, 3600.0), lambda: clock[0])
        assert keys.known() == ()
        keys.refresh()
        assert [key.key_id for key in keys.known()] == ["one"]
        provider.keys = [jwk(RSA_KEY, "one"), jwk(EC_KEY, "two")]
        for _ in range(20):
            clock[0] += 1
            keys.refresh()
        assert provider.asked == 1
        clock[0] += LEAST_SECONDS_BETWEEN_FETCHES
        keys.refresh()
        assert ([key.key_id for key in keys.known()], provider.asked) == (["one", "two"], 2)
        assert not keys.is_stale()
        clock[0] += 3601
        assert keys.is_stale()


def test_keys_stay_while_the_provider_is_away_and_not_for_ever() -> None:
    """Nor does a redirect lead to somebody else's keys."""
    clock = [1000.0]
    with Provider() as provider:
        provider.keys = [jwk(RSA_KEY, "one")]
        keys = PublishedKeys(JwksUrl(provider.url), lambda: clock[0])
        provider.status = 302
        with pytest.raises(KeysUnavailable):
            keys.refresh()
        provider.status = 200
        clock[0] += 31
        keys.refresh()
        provider.status = 500
        clock[0] += 3600
        keys.refresh()
        assert len(keys.known()) == 1
        clock[0] += 24 * 3600
        with pytest.raises(KeysUnavailable):
            keys.refresh()


def test_jwts_of_a_provider_whose_keys_change() -> None:
    """The first one fetches the keys; one that names an unknown key is refused; without any key nobody can tell."""
    with Provider() as provider, served(api(JwtConfig(ISSUER, ("otel-cost",), jwks_url=JwksUrl(provider.url)))) as ask:
        provider.keys = [jwk(RSA_KEY, "one"), jwk(EC_KEY, "two")]
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256", {"kid": "one"})).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256", {"kid": "two"})).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256")).status == 200
        assert ask("GET", "/who", Authorization=signed(EC_KEY, "ES256", {"kid": "one"})).status == 401
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256", {"kid": "three"})).status == 401
        assert provider.asked == 1
    with Provider() as provider, served(api(JwtConfig(ISSUER, ("otel-cost",), jwks_url=JwksUrl(provider.url)))) as ask:
        provider.status = 500
        assert ask("GET", "/who", Authorization=signed(RSA_KEY, "RS256")).status == 503
        assert ask("GET", "/who", Authorization=f"Bearer {SEES_ALL.secret}").status == 200
