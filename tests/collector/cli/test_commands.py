"""The command line itself: what a mistyped command is told."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from collector.cli import main


@pytest.mark.parametrize(
    ("typed", "said"),
    [("doctr", "No such command 'doctr'. Did you mean 'doctor'?"), ("xyzzy", "No such command 'xyzzy'.")],
)
def test_a_mistyped_command_is_told_the_nearest_one(typed: str, said: str) -> None:
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {said}"
