"""`processors.budget.channels`: what is read, what is refused, and that rules only tell where somebody listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.budgets.actions.config import EmailChannel, SlackChannel, WebhookChannel
from collector.config import ConfigError, load
from collector.config.load import read

EVERYTHING = Path(__file__).parent.parent / "testdata" / "config" / "everything.yaml"
RULE = "{name: a, scope: team, limit: 5 USD/day, on_exceed: [notify, webhook]}"
HOOK = "{url: http://localhost:1, secret: 0123456789abcdef}"
MAIL = "host: h, from: a@b.c, to: [d@e.f]"


def problems(budget: str) -> list[str]:
    """What is wrong with a budget processor, without its place."""
    with pytest.raises(ConfigError) as raised:
        read(f"processors: {{budget: {{{budget}}}}}", "f", {})
    return [line.removeprefix("f: processors.budget.") for line in raised.value.problems]


def test_channels_are_read_in_their_units_with_secrets_from_the_environment() -> None:
    config = load(EVERYTHING, {"TOKEN": "t", "HOOK_SECRET": "from-the-environment", "SMTP_PASSWORD": "12345"})
    assert config.channels == (
        WebhookChannel("webhook", 3.0, "https://hooks.example.com/costs?team=1", "from-the-environment"),
        WebhookChannel("webhook/ops", 10.0, "http://127.0.0.1:9999/", "0123456789abcdef0123456789abcdef"),
        SlackChannel("slack", 2.0, "https://hooks.slack.com/services/T0/B0/x"),
        EmailChannel(
            "email",
            30.0,
            "smtp.example.com",
            2525,
            "starttls",
            "costs",
            "12345",
            "costs@example.com",
            ("ops@example.com", "cfo@example.com"),
        ),
    )
    assert {channel.action for channel in config.channels} == {"webhook", "slack", "email"}
    shown = repr(config.channels)
    assert "12345" not in shown
    assert "from-the-environment" not in shown
    assert "hooks.slack.com" not in shown


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_of_a_mail_server_follows_from_how_it_is_secured(tls: str, port: int) -> None:
    found = read(f"processors: {{budget: {{channels: {{email: {{{MAIL}, tls: {tls}}}}}}}}}", "f", {}).channels[0]
    assert isinstance(found, EmailChannel)
    assert found.port == port


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("webhok: {}", 'webhok: unknown component type (got webhok); allowed: webhook, slack, email; did you mean '
         '"webhook"?'),
        ("webhook: {url: http://h}", "webhook.secret: is required"),
        ("webhook: {url: http://h, secret: short}", "webhook.secret: must have at least 16 characters (got ...)"),
        ("webhook/ops: {url: ftp://h, secret: 0123456789abcdef}", "webhook/ops.url: must be a URL such as "
         "http://localhost:4318 (got ftp://h)"),
        ("slack: {url: http://h, timout: 1s}", 'slack.timout: unknown key; allowed: timeout, url; did you mean '
         '"timeout"?'),
        ("slack: {url: http://h, timeout: 5m}", "slack.timeout: must be between 100ms and 1m (got 5m)"),
        ("email: {host: h, from: a@b.c, to: []}", "email.to: must be 1 to 100 mail addresses (got [])"),
        ("email: {host: h, from: a@b.c, to: [x]}", "email.to: must be a mail address (got x); allowed: for example "
         "costs@example.com"),
        ('email: {host: h, from: "a@b.c\\nBcc: x@y.z", to: d@e.f}', "email.from: must be a mail address (got a@b.c "
         "Bcc: x@y.z); allowed: for example costs@example.com"),
        (f"email: {{{MAIL}, tls: ssl}}", "email.tls: unknown word (got ssl); allowed: starttls, tls, none"),
        (f"email: {{{MAIL}, username: u}}", "email: username and password go together: give both or neither"),
        (f"email: {{{MAIL}, username: u, password: 5}}", "email.password: must be text; put it in quotes (got ...)"),
        (f"email: {{{MAIL}, username: u, password: p, tls: none}}", "email.tls: a password is not sent without TLS "
         "(got none); allowed: starttls, tls"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_channel_is_found_when_the_file_is_read(channel: str, expected: str) -> None:
    assert problems(f"channels: {{{channel}}}")[0] == f"channels.{expected}"


def test_an_action_without_its_channel_is_a_mistake() -> None:
    """Else an alert would go nowhere, and nobody would know until it is missed."""
    assert problems(f"rules: [{RULE}]") == [
        "rules[0].on_exceed: needs webhook in processors.budget.channels (got webhook); allowed: notify"
    ]
    read(f"processors: {{budget: {{rules: [{RULE}], channels: {{webhook/ops: {HOOK}}}}}}}", "f", {})


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        ("50", 'must be an amount in the unit of the limit (got 50); allowed: for example "50 USD"'),
        ("50 tokens", 'must be an amount in the unit of the limit (got 50 tokens); allowed: for example "50 USD"'),
        ("0.0000000000001 USD", "is finer than one pico-dollar (got 0.0000000000001 USD)"),
    ],
)
def test_the_bound_of_raises_is_in_the_unit_of_the_limit(raised: str, expected: str) -> None:
    rule = f'{{name: a, scope: team, limit: 5 USD/day, max_raise: "{raised}"}}'
    assert problems(f"rules: [{rule}]") == [f"rules[0].max_raise: {expected}"]
