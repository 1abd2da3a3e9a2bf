"""Who may send and who may ask, as the config says it; every mistake with its place and the nearest spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import ConfigError, load, read
from collector.receive.senders import IngestToken, SenderConfig, Source
from collector.serve.api.config import JwksUrl, JwtConfig, Role
from collector.tls import TlsFiles

FILE = "config.yaml"
EVERYTHING = Path(__file__).parents[1] / "testdata" / "config" / "everything.yaml"
DIGEST = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
JWT = "issuer: i, audience: a"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, FILE, {})
    return [line.removeprefix(f"{FILE}: ") for line in raised.value.problems]


def api(text: str) -> str:
    return f"extensions: {{api: {{{text}}}}}"


def otlp(text: str) -> str:
    return f"receivers: {{otlp: {{protocols: {{http: }}, {text}}}}}"


def test_every_key_of_access_is_read() -> None:
    config = load(EVERYTHING, {"TOKEN": "t"})
    assert config.senders == SenderConfig(
        (
            IngestToken("checkout", "t0123456789abcdef", "", "acme", {"team": "shop", "project": "web"}),
            IngestToken("batch", "", DIGEST),
        ),
        (Source.HEADER, Source.RESOURCE),
        "tenant",
        "acme",
    )
    assert config.api is not None
    assert (config.api.tls, config.api.session_seconds) == (TlsFiles(Path("server.crt"), Path("server.key")), 8 * 3600)
    assert config.api.tokens[1].organization == "acme"
    assert config.api.revenue == {"acme": {"globex": 200 * 10**12, "1042": 495 * 10**11}}
    assert config.api.jwt == JwtConfig(
        "https://login.example.com/",
        ("otel-cost", "otel-cost-page"),
        jwks_url=JwksUrl("https://login.example.com/.well-known/jwks.json", 1800),
        leeway_seconds=5,
        organization_claim="https://example.com/organizations",
        role_claim="groups",
        roles={"finops": Role.EDITOR, "platform": Role.ADMIN},
        default_role=None,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            api("tokens: [{name: a, token: 0123456789abcdefg, organisation: x}]"),
            "extensions.api.tokens[0].organisation: unknown key; allowed: name, token, sha256, role, organization; "
            'did you mean "organization"?',
        ),
        (
            api(f"tokens: [{{name: a, token: 0123456789abcdefg, sha256: {DIGEST}}}]"),
            "extensions.api.tokens[0].token: is required, or sha256 in its place: one of the two",
        ),
        (
            api("tokens: [{name: a}]"),
            "extensions.api.tokens[0].token: is required, or sha256 in its place: one of the two",
        ),
        (
            api("tokens: [{name: a, sha256: abc}]"),
            "extensions.api.tokens[0].sha256: must be the SHA-256 of a token in hex, as `otel-cost token` prints it "
            "(got ...)",
        ),
        (api(f"auth: {{jwt: {{{JWT}}}}}"), "needs one of secret, public_key_file, jwks_file, jwks_url"),
        (api(f"auth: {{jwt: {{{JWT}, secret: '{'s' * 32}', jwks_file: f}}}}"), "takes one of them: secret, jwks_file"),
        (api(f"auth: {{jwt: {{{JWT}, secret: short}}}}"), "secret: must have at least 32 characters (got ...)"),
        (api(f"auth: {{jwt: {{{JWT}, jwks_url: 'http://example.com/k'}}}}"), "must be https"),
        (api("auth: {jwt: {audience: a, jwks_file: f}}"), "extensions.api.auth.jwt.issuer: is required"),
        (api("auth: {jwt: {issuer: a, jwks_file: f}}"), "extensions.api.auth.jwt.audience: is required"),
        (api(f"auth: {{jwt: {{{JWT}, jwks_file: f, roles: {{x: viewr}}}}}}"), 'did you mean "viewer"?'),
        (api(f"auth: {{jwt: {{{JWT}, jwks_file: f, default_role: nobody}}}}"), "allowed: viewer, editor, admin, none"),
        (api("auth: {jwtt: {}}"), 'did you mean "jwt"?'),
        (
            api("revenue: [{customers: {acme: 200 EUR/month}}]"),
            "extensions.api.revenue[0].customers.acme: must be dollars a month (got 200 EUR/month); "
            'allowed: for example "200 USD/month"',
        ),
        (api("revenue: [{customers: {acme: }}]"), "customers.acme: must be dollars a month (got nothing)"),
        (api("revenue: [{customers: {acme: -5 USD/month}}]"), "must be dollars a month (got -5 USD/month)"),
        (api("revenue: [{customer: {acme: 1 USD/month}}]"), 'did you mean "customers"?'),
        (api("revenue: [{}]"), "revenue[0].customers: must pair customers with what they pay; allowed: {acme: 200"),
        (
            api("revenue: [{customers: {a: 1 USD/month}}, {customers: {a: 2 USD/month}}]"),
            "revenue[1].customers.a: this customer is in the list twice (got a)",
        ),
        (otlp("auth: {}"), "receivers.otlp.auth.tokens: must list at least one token"),
        (otlp("auth: {tokens: [{name: a, token: 0123456789abcdefg, tags: {taem: x}}]}"), 'did you mean "team"?'),
        (otlp("organization: {sources: [heade]}"), 'did you mean "header"?'),
        (otlp("organization: {required: true}"), "needs tokens, or sources that say an organisation"),
        (
            otlp("auth: {tokens: [{name: a, token: 0123456789abcdefg}, {name: a, token: 0123456789abcdefh}]}"),
            "receivers.otlp.auth.tokens[1].name: another token has this name (got a)",
        ),
    ],
)
def test_mistakes_are_said_with_their_place(text: str, problem: str) -> None:
    assert any(problem in line for line in problems(text)), problems(text)


def test_secrets_are_in_no_message() -> None:
    text = api("tokens: [{name: a, token: geheim}, {name: b, sha256: geheim}], auth: {jwt: {secret: geheim}}")
    assert "geheim" not in "\n".join(problems(text))


def test_whoever_must_show_who_they_are_may_come_from_anywhere() -> None:
    """Each endpoint on its own: tokens of receivers are none of the API."""
    open_text = (
        "receivers: {otlp: {protocols: {http: {endpoint: ':4318'}}AUTH}}\nextensions: {api: {endpoint: ':8321'JWT}}"
    )
    tokens = ", auth: {tokens: [{name: a, token: 0123456789abcdefg}]}"
    jwt = f", auth: {{jwt: {{{JWT}, jwks_file: f}}}}"
    http_path, api_path = "receivers.otlp.protocols.http.endpoint", "extensions.api.endpoint"
    for auth, more, exposed in (
        ("", "", [http_path, api_path]),
        (tokens, "", [api_path]),
        ("", jwt, [http_path]),
        (tokens, jwt, []),
    ):
        config = read(open_text.replace("AUTH", auth).replace("JWT", more), FILE, {})
        assert [path for path, _ in config.exposed()] == exposed
