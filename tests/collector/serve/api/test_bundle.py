"""Modules as one script."""

from __future__ import annotations

from pathlib import Path

import pytest
import tree_sitter_javascript
from tree_sitter import Language, Parser

from collector.serve.api.bundle import bundled
from collector.serve.api.pages import DASHBOARD, SCRIPTS


def written(root: Path, **modules: str) -> Path:
    """A folder with modules; `lib__x` is lib/x.js."""
    for name, text in modules.items():
        path = root / (name.replace("__", "/") + ".js")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("entry", SCRIPTS.values())
def test_a_script_of_the_page_is_valid(entry: str) -> None:
    """As a grammar of the language reads it; that it runs is what `tests/browser` shows."""
    tree = Parser(Language(tree_sitter_javascript.language())).parse(bundled(DASHBOARD, entry).encode())
    assert not tree.root_node.has_error


def test_a_module_stands_once_after_what_it_needs(tmp_path: Path) -> None:
    """In a scope of its own: two modules may use one name for different things."""
    root = written(
        tmp_path,
        main='import { one } from "./views/a.js";\nimport { two as more } from "./lib/b.js";\nsay(one, more);\n',
        views__a='import { two } from "../lib/b.js";\nexport async function one() {}\nexport const left = two;\n',
        lib__b="const hidden = 2;\nexport const two = hidden;\nexport class Three {}\n",
    )
    assert bundled(root, "main.js") == (
        "// lib/b.js\nconst $lib_b = (() => {\nconst hidden = 2;\nconst two = hidden;\nclass Three {}\n"
        "return { two, Three };\n})();\n"
        "// views/a.js\nconst $views_a = (() => {\nconst { two } = $lib_b;\nasync function one() {}\n"
        "const left = two;\n"
        "return { one, left };\n})();\n"
        "// main.js\nconst $main = (() => {\n"
        "const { one } = $views_a;\nconst { two: more } = $lib_b;\nsay(one, more);\n"
        "return {  };\n})();\n"
    )


@pytest.mark.parametrize(
    "text",
    ["export default 1;", 'import x from "./b.js";', 'export * from "./b.js";', 'const x = import("./b.js");',
     "export let x = 1;"],
)  # fmt: skip
def test_a_module_that_says_it_otherwise_is_refused(tmp_path: Path, text: str) -> None:
    """Not shipped as a script that does not run."""
    root = written(tmp_path, main=text + "\n", b="export const x = 1;\n")
    with pytest.raises(ValueError, match=r"main\.js: "):
        bundled(root, "main.js")


def test_modules_that_need_each_other_are_refused(tmp_path: Path) -> None:
    """Neither could come first."""
    root = written(tmp_path, a='import { b } from "./b.js";\nexport const a = 1;\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match=r"a\.js, b\.js, a\.js"):
        bundled(root, "a.js")
