"""`otel-cost token`: a secret for the config's tokens, and its digest."""

from __future__ import annotations

import secrets
import sys
from hashlib import sha256

import click

TOKEN_BYTES = 32
"""Nobody finds 256 random bits by trying."""
MIN_TOKEN_CHARACTERS = 16


@click.command("token")
@click.option("--digest", "read", is_flag=True, help="Of a token that is read from standard input, only the SHA-256.")
def command(read: bool) -> None:
    """Make a token for extensions.api.tokens or receivers.otlp.auth.tokens, and its SHA-256 for the config.

    The token goes to whoever uses it; a config with sha256 in its place holds no secret.

    \b
    Examples:
      otel-cost token
      otel-cost token --digest < token.txt
    """
    if read:
        token = sys.stdin.readline().strip()
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise click.UsageError(f"a token has at least {MIN_TOKEN_CHARACTERS} characters")
        click.echo(sha256(token.encode()).hexdigest())
        return
    token = f"oc_{secrets.token_urlsafe(TOKEN_BYTES)}"
    click.echo(f"token:  {token}")
    click.echo(f"sha256: {sha256(token.encode()).hexdigest()}")
