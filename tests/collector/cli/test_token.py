"""`otel-cost token` makes what the config takes."""

from __future__ import annotations

from hashlib import sha256

from click.testing import CliRunner

from collector.cli.token_command import command
from collector.config import read


def test_a_token_and_its_digest_fit_together_and_into_the_config() -> None:
    lines = CliRunner().invoke(command).output.splitlines()
    token, digest = (line.split()[1] for line in lines)
    assert digest == sha256(token.encode()).hexdigest()
    assert CliRunner().invoke(command, ["--digest"], input=f"{token}\n").output.strip() == digest
    config = read(f"extensions: {{api: {{tokens: [{{name: a, sha256: {digest}}}]}}}}", "file", {})
    assert config.api is not None
    assert config.api.tokens[0].digest == sha256(token.encode()).digest()
    assert CliRunner().invoke(command).output != "\n".join(lines)


def test_what_is_too_short_to_be_a_token_is_refused() -> None:
    assert CliRunner().invoke(command, ["--digest"], input="short\n").exit_code == 2
