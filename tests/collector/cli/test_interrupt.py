"""Ctrl-C in a command that is at work: its own exit code, no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from collector.cli import COMMANDS, main


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "collect"])
def test_an_interrupted_command_exits_with_130(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the command was doing; a failure has 1, so a script can tell the two apart."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    command = click.Command(name, callback=interrupted)
    monkeypatch.setattr("collector.cli.import_module", lambda _: type("Module", (), {"command": command}))
    result = CliRunner().invoke(main, [name])
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_a_real_process_in_the_middle_of_its_work(tmp_path: Path) -> None:
    """It has answered one line and waits for the next."""
    question = '{"provider": "openai", "model": "gpt-4o", "usage": {"input_tokens": 1, "output_tokens": 1}}\n'
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "collector", "price", "--jsonl", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question)
        process.stdin.flush()
        assert '"priced"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "interrupted\n")
