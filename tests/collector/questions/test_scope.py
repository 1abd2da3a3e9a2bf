"""No question can see more than its selection may: statements read what `scope` has cut down, and nothing else."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from collector.store import views

FOLDER = Path(str(files("collector.questions")))
PUBLIC_OF_ALL = {"prices", "price_runs"}
"""Views without anybody's calls."""
SOURCES = {"facts", "ran", "lengths", "chosen", "rolled"}
"""Texts that `scope` fills with the organisation's condition."""
STATEMENTS = sorted(path for path in (FOLDER / "sql").glob("*.sql") if path.stem not in SOURCES)


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_a_statement_names_no_view_that_holds_everybodys_calls(path: Path) -> None:
    named = set(re.findall(r"(?<!DISTINCT )\b(?:FROM|JOIN)\s+\"?([a-z_.]+)", re.sub(r"--[^\n]*", "", path.read_text())))
    own = set(re.findall(r"\b([a-z_]+) AS (?:NOT )?(?:MATERIALIZED )?\(", path.read_text()))
    assert not (named - own) & (set(views.NAMES) - PUBLIC_OF_ALL)
    assert not any("." in name for name in named - own)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_is_read_is_filled_with_a_condition(name: str) -> None:
    assert (FOLDER / "sql" / f"{name}.sql").read_text().rstrip().endswith("WHERE {where}")


def test_only_scope_runs_statements() -> None:
    callers = [path.name for path in FOLDER.glob("*.py") if re.search(r"\b_?ask\(", path.read_text())]
    assert callers == ["scope.py"]
