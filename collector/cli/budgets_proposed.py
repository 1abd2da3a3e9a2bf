"""Rules in a file of their own: a list of rules, one rule, or a collector's config."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from collector.budgets.model import Rule
from collector.config.budget import made_at, read_rule
from collector.config.load import read_tree
from collector.config.problems import ConfigError, Problems
from collector.config.reader import Section
from collector.config.text import parse

_OF_A_CONFIG = ("receivers", "processors", "exporters", "extensions", "service")


def read_rules_file(path: Path) -> tuple[Rule, ...]:
    """The rules of a file.

    Raises:
        ConfigError: with every problem, and its place.
    """
    problems = Problems(str(path))
    try:
        tree = parse(path.read_text(encoding="utf-8"), os.environ, problems)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    rules = () if problems.lines else _rules(tree, problems)
    if not rules and not problems.lines:
        problems.add_line(1, "there are no rules: write a list of them, as processors.budget.rules of docs/config.md")
    if problems.lines:
        raise ConfigError(problems.lines)
    return rules


def _rules(tree: object, problems: Problems) -> tuple[Rule, ...]:
    if isinstance(tree, dict) and any(key in tree for key in _OF_A_CONFIG):
        return read_tree(tree, problems).rules
    if isinstance(tree, dict):
        listed: object = tree["rules"] if set(tree) == {"rules"} else [tree]
    else:
        listed = tree
    if tree is not None and not isinstance(listed, list):
        problems.add_line(1, "must be a list of rules")
        return ()
    now = datetime.now(UTC)
    items = [made_at(item, now) if isinstance(item, dict) else item for item in _items(listed)]
    rules = tuple(read_rule(Section(problems, f"rules[{number}]", item)) for number, item in enumerate(items))
    names = [rule.name for rule in rules]
    for name in {name for name in names if name and names.count(name) > 1}:
        problems.lines.append(f"{problems.file}: rules: several are named {name}")
    return rules


def _items(listed: object) -> list[object]:
    return listed if isinstance(listed, list) else []
