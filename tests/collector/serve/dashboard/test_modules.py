"""What the page's files promise each other, the browser's policy and the API, as far as text can tell.

That they run is what `tests/browser` shows, in a real Chromium.
"""

from __future__ import annotations

import re

import pytest
import tree_sitter_javascript
from tree_sitter import Language, Parser

from collector.questions.selection import COLUMNS
from collector.serve.api.pages import SCRIPTS
from tests.collector.serve.dashboard.api import API
from tests.collector.serve.dashboard.modules import MODULES, ROOT, asked, exports, imports, source

FORBIDDEN = {
    "reads text as markup": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser",
    "makes code of text": r"\beval\(|new Function|setTimeout\(\s*[\"'`]",
    "sets a style by its text": r"setAttribute\(\s*[\"']style",
    "asks another host": r"https?://(?!www\.w3\.org/|localhost)",
    "counts money in floats": r"(?:parseFloat|Number|[+*/-])\s*\(?[\w.]*_usd\b",
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_valid(module: str) -> None:
    """As a grammar of the language reads it."""
    tree = Parser(Language(tree_sitter_javascript.language())).parse((ROOT / module).read_bytes())
    assert not tree.root_node.has_error


@pytest.mark.parametrize("module", MODULES)
def test_a_module_names_only_what_there_is(module: str) -> None:
    """Every import leads to a module of the page, and every name to an export."""
    for target, name in imports(module):
        assert target in MODULES, target
        assert not name or name in exports(target), (target, name)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_uses_what_it_imports(module: str) -> None:
    """Names left over from a change."""
    text = re.sub(r"^import .*$", "", source(module), flags=re.MULTILINE)
    unused = [name for _, name in imports(module) if name and not re.search(rf"\b{name}\b", text)]
    assert unused == []


@pytest.mark.parametrize("why", FORBIDDEN)
def test_no_module_does_what_the_policy_or_the_house_forbids(why: str) -> None:
    """Text of apps is text, and the page needs nothing from elsewhere."""
    found = [(module, match.group()) for module in MODULES for match in re.finditer(FORBIDDEN[why], source(module))]
    assert found == []


def test_every_module_is_reached_from_the_page() -> None:
    """Nothing is served that nobody loads."""
    reached, waiting = set[str](), [*SCRIPTS.values()]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [target for target, _ in imports(module)]
    assert reached == set(MODULES)


def test_the_html_has_no_script_style_or_handler_of_its_own() -> None:
    """The policy allows files alone."""
    html = (ROOT / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", html) == []


def test_every_class_of_the_style_sheet_is_used() -> None:
    """Rules for what is no longer there."""
    styled = set(re.findall(r"\.([a-z][\w-]*)(?=[\s.,:{>\[)])", (ROOT / "style.css").read_text()))
    text = (ROOT / "index.html").read_text() + "".join((ROOT / module).read_text() for module in MODULES)
    made = {"shape-tall", "shape-list", "shape-tiles"}  # put together from a panel's shape
    assert {name for name in styled - made if not re.search(rf"[\"'`\s.]{name}\b", text)} == set()


@pytest.mark.parametrize("module", MODULES)
def test_the_api_has_what_a_module_asks_for(module: str) -> None:
    """Every path that it names, with every parameter that it gives."""
    for path, parameters in asked(module):
        known = [
            found for template, found in API.items() if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path)
        ]
        assert known, path
        declared = set.union(*known)
        assert not declared or parameters <= declared, path  # routes of budgets read theirs by hand


def test_the_filters_are_those_of_the_api() -> None:
    """The twelve, in the page's state, and the same in the API."""
    listed = source("lib/state.js").partition("FILTERS = [")[2].partition("];")[0]
    keys = {key for found in re.findall(r"keys: \[([^\]]*)\]", listed) for key in re.findall(r'"(\w+)"', found)}
    assert listed.count("label:") == 12
    assert keys <= API["/breakdown"]
    assert keys == {*COLUMNS, "status", "trace_id"}
