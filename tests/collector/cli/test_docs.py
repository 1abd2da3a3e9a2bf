"""The command line, its help and its documentation say the same."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from collector.cli import COMMANDS, main
from tests.collector.cli import scenario
from tests.collector.cli.scenario import NOTE_TRACE, run_json

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = re.compile(r"^ +otel-cost (?P<words>[a-z].*?)(?: {2,}#.*)?$", re.MULTILINE)


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert isinstance(found, click.Command)
    return found


def parameters(found: click.Command) -> list[click.Parameter]:
    """Of the command and its subcommands."""
    params = list(found.params)
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            inner = found.get_command(context, name)
            assert inner is not None
            params += parameters(inner)
    return params


def section(name: str) -> str:
    """The command's part of docs/cli.md."""
    text = (DOCS / "cli.md").read_text()
    return text.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    text = section(name)
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert f"{option}" in text, f"docs/cli.md does not say what {name} {option} does"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_documented_option_exists(name: str) -> None:
    known = {option for each in parameters(command(name)) for option in (*each.opts, *each.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section(name))) <= known | {"--help"}


def _examples() -> list[str]:
    helps = [command(name).help or "" for name in COMMANDS]
    docs = [(DOCS / file).read_text() for file in ("cli.md", "quickstart.md")]
    found = [match["words"] for text in (*helps, main.help or "", *docs) for match in EXAMPLE.finditer(text)]
    return sorted({words for words in found if not re.search(r"\[|COMMAND| FILE|TRACE_ID|QUERY|JSON", words)})


@pytest.mark.parametrize("words", _examples())
def test_every_example_is_a_call_that_its_command_takes(words: str) -> None:
    name, *rest = shlex.split(re.split(r" [<>|] ", words)[0], comments=True)
    found = command(name)
    found.make_parser(click.Context(found)).parse_args(rest)


@pytest.mark.parametrize("name", ["report", "trace", "import"])
def test_help_shows_examples_and_exit_codes(name: str) -> None:
    text = command(name).help or ""
    assert "Examples:" in text
    assert "Exit codes:" in text


def _shape(name: str) -> Any:
    """The JSON object that docs/cli.md shows for a command."""
    return json.loads(section(name).split("```json\n")[1].split("```")[0])


def test_the_documented_report_has_the_fields_of_a_real_one(ledger: str) -> None:
    shown, real = _shape("report"), run_json("report", "--by", "agent", "--db", ledger)
    assert set(shown) == set(real)
    assert set(shown["rows"][0]) == set(real["rows"][0])
    assert set(real["total"]) == set(real["rows"][0]) - {"value"}


def test_the_documented_trace_has_the_fields_of_a_real_one(ledger: str) -> None:
    shown, real = _shape("trace"), run_json("trace", NOTE_TRACE, "--db", ledger)
    assert set(shown) == set(real)
    example = next(span for span in real["spans"] if span["receipt"])
    assert set(shown["spans"][0]) == set(example)
    assert set(shown["spans"][0]["receipt"][0]) == set(example["receipt"][0])


def test_the_documented_import_has_the_fields_of_a_real_one(tmp_path: Path) -> None:
    real = run_json("import", str(scenario.write(tmp_path)), "--db", str(tmp_path / "ledger.duckdb"))
    assert set(_shape("import")) == set(real)
