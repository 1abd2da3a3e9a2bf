"""The page's modules as text, read far enough to hold them to what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from collector.serve import dashboard

ROOT = Path(dashboard.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.js"))
IMPORT = re.compile(r'^import (?:(\{[^}]*\}) from )?"([^"]+)";$', re.MULTILINE)
DYNAMIC_IMPORT = re.compile(r'import\("([^"]+)"\)')
EXPORT = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)
ASKED = re.compile(r'\b(?:get|ask|address)\(\s*["`](/[^"`]*)["`](?:,\s*\{([^}]*)\})?')


def source(module: str) -> str:
    """A module's text without its comments."""
    text = (ROOT / module).read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", "", text, flags=re.DOTALL)


def imports(module: str) -> Iterator[tuple[str, str]]:
    """What it imports: module (from the root) and name; the name is empty for a module as a whole."""
    text = source(module)
    for names, path in IMPORT.findall(text):
        target = _target(module, path)
        yield target, ""
        for name in filter(None, (part.strip() for part in names.strip("{}").split(","))):
            yield target, name.split(" as ")[0]
    for path in DYNAMIC_IMPORT.findall(text):
        yield _target(module, path), ""


def exports(module: str) -> set[str]:
    """Names that others may import."""
    return set(EXPORT.findall(source(module)))


def asked(module: str) -> Iterator[tuple[str, set[str]]]:
    """Paths of the API that it names, below `/api/v1`, and parameters that it gives; what is put into a path is `x`."""
    for path, given in ASKED.findall(source(module)):
        names = re.findall(r"(?:^|,)\s*(\w+)\s*(?=[:,]|$)", re.sub(r"\([^()]*\)|\[[^\]]*\]|\?[^,]*", "", given))
        yield re.sub(r"\$\{[^}]*\}", "x", path), set(names)


def _target(module: str, path: str) -> str:
    return (ROOT / module).parent.joinpath(path).resolve().relative_to(ROOT).as_posix()
