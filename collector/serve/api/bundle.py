"""Modules of a page as one script: thirty requests are as many turns of the collector's event loop, and a browser makes
six at a time. Nothing is installed or built for it: modules say what they import and export in lines of one form."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)


def bundled(root: Path, entry: str) -> str:
    """The module `entry` (a path below `root`) and all that it imports: each once, in a scope of its own, after those
    that it needs.

    Raises:
        ValueError: modules import each other in a ring, or say it in another form.
        OSError: one is not there.
    """
    parts: dict[str, str] = {}
    _add(root, entry, parts, ())
    return "".join(parts.values())


def _add(root: Path, name: str, parts: dict[str, str], importers: tuple[str, ...]) -> None:
    if name in parts:
        return
    if name in importers:
        raise ValueError(f"modules import each other: {', '.join((*importers, name))}")
    text = (root / name).read_text(encoding="utf-8")
    for _, path in _IMPORT.findall(text):
        _add(root, _target(name, path), parts, (*importers, name))
    names = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(lambda found: _taken(name, *found.groups()), text))
    if left := _LEFT.search(body):
        raise ValueError(f"{name}: {left.group()}")
    parts[name] = f"// {name}\nconst {_scope(name)} = (() => {{\n{body}return {{ {names} }};\n}})();\n"


def _target(name: str, path: str) -> str:
    return normpath(join(dirname(name), path))


def _scope(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _taken(name: str, names: str, path: str) -> str:
    return f"const {{{names.replace(' as ', ': ')}}} = {_scope(_target(name, path))};"
