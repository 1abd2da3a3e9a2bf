"""How many tokens a model takes and gives in one call at most, as genai-prices says it: shipped beside this module.

It is no price, so it is not in the rate card. `python -m collector.catalogue.build.renew` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "context_windows.json"


def context_window(provider: str, model: str) -> int | None:
    """In tokens of the model's own; None: not known."""
    return _windows().get(provider, {}).get(model)


@cache
def _windows() -> Mapping[str, Mapping[str, int]]:
    shipped: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    found: Mapping[str, Mapping[str, int]] = shipped["windows"]
    return found
