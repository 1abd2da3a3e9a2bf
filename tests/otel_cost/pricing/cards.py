"""Rate cards made for a test: real files, real loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otel_cost.pricing.card import RateCard, load_card

DAY_NS = 86_400_000_000_000


def make_card(folder: Path, models: dict[str, list[dict[str, Any]]]) -> RateCard:
    """A card with these models by provider; each is written as the build writes it."""
    for provider, entries in models.items():
        content = {"provider": provider, "fallback_providers": [], "models": entries}
        (folder / f"{provider}.json").write_text(json.dumps(content))
    index = {"digest": "0123456789abcdef", "sources": {}, "providers": sorted(models)}
    (folder / "index.json").write_text(json.dumps(index))
    return load_card(folder)


def model(name: str, *rows: list[Any], **more: Any) -> dict[str, Any]:
    """One model with its rows: [variant, from ns, to ns, window, [[input above, {unit: rate}], ...]]."""
    return {"id": name, "source": "test", "names": [name.lower()], "rows": list(rows), **more}


def always(**rates: int) -> list[Any]:
    """Standard rates for every time and size."""
    return ["standard", None, None, None, [[-1, rates]]]
