"""The page on the API names every route, with its role, and no other."""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Any, cast

from collector.serve.api.app import VERSION, Path
from collector.serve.api.budgets import budget_paths
from collector.serve.api.budgets_approvals import approval_paths

PAGE = File(__file__).parent.parent / "docs" / "api.md"
ROW = re.compile(r"^\| `(GET|POST|PUT|DELETE) (/api/v1\S*)` \| (\w+) \|", re.MULTILINE)


def test_every_route_is_documented_with_its_role() -> None:
    nobody = cast(Any, None)  # routes are made without being asked
    paths: list[Path] = [*approval_paths(nobody), *budget_paths(nobody)]
    known = {(path.method, VERSION + path.path, path.role.name.lower()) for path in paths}
    assert set(ROW.findall(PAGE.read_text())) == known | {("GET", VERSION, "viewer")}
