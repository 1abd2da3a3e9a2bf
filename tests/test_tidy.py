"""The tree's own rules, as tests: size caps, one home for literals, nothing stray."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 70
SOURCES = sorted(
    path
    for top in ("otel_cost", "collector", "tests", "benchmarks", "examples", "tools")
    for path in (ROOT / top).rglob("*.py")
    if "testdata" not in path.parts
)
PRODUCT = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in {"otel_cost", "collector"}]
ATTRIBUTE_KEY = re.compile(r"^(gen_ai|llm|openinference|traceloop|langfuse|mlflow|ai\.usage|otel_cost)\.[a-z_.]+$")
KEY_HOMES = {"attributes.py"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    """No module over 400 lines, no function over 70."""
    text = path.read_text()
    assert text.count("\n") <= MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or node.lineno) - node.lineno < MAX_FUNCTION_LINES, f"{node.name} is too long"


def _docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_attribute_keys_have_one_home(path: Path) -> None:
    """An attribute key is written once, in `otel_cost/attributes.py`; everything else names the constant."""
    if path.name in KEY_HOMES:
        return
    tree = ast.parse(path.read_text())
    skip = _docstrings(tree)
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip
    ]
    modules = {_name(source).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for source in SOURCES}
    assert [text for text in found if ATTRIBUTE_KEY.match(text) and text not in modules] == []


def _tracked() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:  # an unpacked archive
        return [_name(path) for path in SOURCES]
    return subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.splitlines()


def test_no_tracked_file_names_a_place_on_a_machine() -> None:
    """Absolute home or work paths have no business in the tree."""
    pattern = re.compile(rb"(^|[^\w.-])/(home|root|work)/\w")
    tracked = _tracked()
    assert _name(Path(__file__)) in tracked
    offenders = [
        name
        for name in tracked
        if (ROOT / name).is_file() and "testdata" not in name and pattern.search((ROOT / name).read_bytes())
    ]
    assert [name for name in offenders if name != _name(Path(__file__))] == []
