"""YAML text to plain Python values: duplicate keys found, `${env:NAME}` filled in, nothing executed.

The variables are filled in after parsing, into single values, so whatever a variable holds it stays one value: it
cannot add keys, lists or comments. The syntax is that of the OpenTelemetry Collector (`${env:NAME}`, `${NAME}`,
`${env:NAME:-default}`, `$$` for a dollar sign).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import yaml

from collector.config.problems import Problems

MAX_NODES = 100_000
"""Values in one file. A config has hundreds; aliases that refer to aliases could otherwise unfold for ever."""
MAX_DEPTH = 50
"""Nesting of one file; the grammar needs 7. Guards against an alias that contains itself."""

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class EnvText(str):
    """Text that came from the environment: a number, if its reader wants one, whatever YAML would call it."""

    __slots__ = ()


def parse(text: str, environment: Mapping[str, str], problems: Problems) -> object:
    """The document in `text` as dict, list, str, int, float, bool and None; problems are noted, not raised."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        return _Tree(loader, environment, problems).value(node, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "unreadable"
        problems.add_line(mark.line + 1 if mark else 1, f"not valid YAML: {what}")
    except yaml.YAMLError as error:
        problems.add_line(1, f"not valid YAML: {' '.join(str(error).split())}")
    finally:
        loader.dispose()
    return None


class _Tree:
    def __init__(self, loader: yaml.SafeLoader, environment: Mapping[str, str], problems: Problems) -> None:
        self._loader = loader
        self._environment = environment
        self._problems = problems
        self._nodes = 0

    def value(self, node: yaml.Node, depth: int) -> object:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(problem="too large or too deeply nested", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self._scalar(cast("yaml.ScalarNode", node))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        result: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add_line(line, "a key must be a word")
                continue
            key = str(key_node.value)
            if key in lines:
                self._problems.add_line(line, f'duplicate key "{key}" (first on line {lines[key]})')
            lines.setdefault(key, line)
            result[key] = self.value(value_node, depth + 1)
        return result

    def _scalar(self, node: yaml.ScalarNode) -> object:
        text = str(node.value)
        if "$" in text:
            return EnvText(_REFERENCE.sub(lambda match: self._replacement(match, node), text))
        if node.tag.rpartition(":")[2] not in {"int", "float", "bool", "null"}:
            return text
        try:
            value: object = self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError):
            return text
        return value

    def _replacement(self, match: re.Match[str], node: yaml.ScalarNode) -> str:
        if match.group() == "$$":
            return "$"
        line = node.start_mark.line + 1
        reference = _NAME.fullmatch(match.group(1))
        if reference is None:
            self._problems.add_line(
                line, f"{match.group()} is not understood; allowed: ${{env:NAME}}, ${{env:NAME:-default}}"
            )
            return ""
        name, default = reference.groups()
        value = self._environment.get(name, "")
        if value:
            return value
        if default is None:
            self._problems.add_line(
                line, f"environment variable {name} is not set; give a default: ${{env:{name}:-value}}"
            )
        return default or ""
