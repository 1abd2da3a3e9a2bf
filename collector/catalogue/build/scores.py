"""`python -m collector.catalogue.build.scores CSV`: write the shipped benchmark scores from a table of them.

Its columns: `model`, `benchmark`, `score`, `source`, `date`, `setting`, `kind`. A source is `REPOSITORY @COMMIT
(LICENCE)`, and may go on with `, citing WHOM`. Left out are rows without a score, of others than the model's provider,
and of sources that name no licence of `LICENCES`.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collector.catalogue.benchmark_scores import FILE

LICENCES = ("CC BY 4.0", "MIT")
"""They let others pass figures on, where the source is named."""
_SOURCE = re.compile(r"(\S+(?: [^@]+)?) @(\w+) \(([^)]+)\)(?:, citing (.+))?")
_CHANGED = "Chosen rows of these sources, in another form; no figure is changed."


def scores(rows: Iterable[Mapping[str, str]]) -> bytes:
    """The file: model -> benchmark -> [score, setting, date, number of the source, what that cites]."""
    sources: list[dict[str, str]] = []
    models: dict[str, dict[str, list[list[Any]]]] = {}
    for row in rows:
        found = _SOURCE.fullmatch(row["source"])
        if found is None or found[3] not in LICENCES or row["kind"] != "vendor" or not row["score"]:
            continue
        source = {"repository": found[1], "commit": found[2], "licence": found[3]}
        if source not in sources:
            sources.append(source)
        line = [float(row["score"]), row["setting"], row["date"], sources.index(source), found[4] or ""]
        models.setdefault(row["model"].lower(), {}).setdefault(row["benchmark"], []).append(line)
    said = json.dumps({"changes": _CHANGED, "sources": sources}, indent=1)
    lines = (f"  {json.dumps(model)}: {json.dumps(models[model], sort_keys=True)}" for model in sorted(models))
    return (said[:-2] + ',\n "models": {\n' + ",\n".join(lines) + "\n}}\n").encode()


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as table:
        content = scores(csv.DictReader(table))
    FILE.write_bytes(content)
    sys.stdout.write(f"{FILE}: {len(content)} bytes\n")
