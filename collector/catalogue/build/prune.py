"""`python -m collector.catalogue.build.prune WHEEL`: renew the pruned copy of LiteLLM's price file from its wheel.

The wheel is only unzipped, never installed: `pip download --no-deps litellm==VERSION`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build.from_litellm import SNAPSHOT, provider_and_name, usable_keys

PRICE_FILE = "litellm/model_prices_and_context_window_backup.json"


def prune(wheel: Path) -> bytes:
    """The entries and keys that the card build reads, with the wheel's version and the digest of the whole file."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(PRICE_FILE)
    entries: dict[str, Any] = json.loads(raw, parse_float=lambda text: format(Decimal(text), "f"))
    kept = {
        key: {name: _number(value) for name, value in usable_keys(entry).items()}
        for key, entry in sorted(entries.items())
        if key != "sample_spec" and provider_and_name(key, entry) is not None
    }
    version = wheel.name.split("-")[1]
    content = {"version": version, "sha256": hashlib.sha256(raw).hexdigest(), "models": kept}
    return gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)


def _number(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else str(value)


if __name__ == "__main__":
    SNAPSHOT.write_bytes(prune(Path(sys.argv[1])))
    sys.stdout.write(f"{SNAPSHOT}: {SNAPSHOT.stat().st_size} bytes\n")
