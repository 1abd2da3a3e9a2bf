"""`python -m collector.catalogue.build.renew [WHEEL ...]`: renew the pruned copies of the catalogues in this folder,
and the context windows of models.

genai-prices' comes from the installed package; LiteLLM's from its wheel, if one is given, and its older one, with
models that it has dropped since, from tokencost's. A wheel is only unzipped, never installed:
`pip download --no-deps litellm==VERSION`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import zipfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from collector.catalogue.build import from_genai_prices, from_litellm, installed
from collector.catalogue.build.published import read_litellm
from collector.catalogue.context_windows import FILE as WINDOWS_FILE

PRICE_FILE = f"litellm/{installed.LITELLM_FILE}"
ARCHIVED_FILE = "tokencost/model_prices.json"


def genai_prices_copy(dated: str) -> bytes:
    """What the card build reads of the installed genai-prices, with its version and the day on which it was taken.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    published = installed.genai_prices()
    if published is None:
        raise ModuleNotFoundError("genai-prices is not installed")
    providers = from_genai_prices.usable_keys(published)
    return _compressed({"version": version("genai-prices"), "dated": dated, "providers": providers})


def context_windows() -> bytes:
    """Provider -> model -> tokens, one line for each provider, with the version of genai-prices that says so.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    published = installed.genai_prices()
    if published is None:
        raise ModuleNotFoundError("genai-prices is not installed")
    lines = []
    for provider in published:
        windows = {each["id"]: each["context_window"] for each in provider["models"] if each.get("context_window")}
        if windows:
            lines.append(f"  {json.dumps(provider['id'])}: {json.dumps(windows)}")
    said = json.dumps({"source": "genai-prices", "licence": "MIT", "version": version("genai-prices")})
    return (said[:-1] + ', "windows": {\n' + ",\n".join(lines) + "\n}}\n").encode()


def litellm_copy(wheel: Path, dated: str, price_file: str = PRICE_FILE) -> bytes:
    """The entries and keys that the card build reads, with the wheel's version and the digest of the whole file."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(price_file)
    content = {
        "version": wheel.name.split("-")[1],
        "dated": dated,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "models": read_litellm(raw),
    }
    return _compressed(content)


def _compressed(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


if __name__ == "__main__":
    today = datetime.now(UTC).date().isoformat()
    copies = {from_genai_prices.SNAPSHOT: genai_prices_copy(today), WINDOWS_FILE: context_windows()}
    for wheel in map(Path, sys.argv[1:]):
        if wheel.name.startswith("tokencost-"):
            copies[from_litellm.ARCHIVE] = litellm_copy(wheel, today, ARCHIVED_FILE)
        else:
            copies[from_litellm.SNAPSHOT] = litellm_copy(wheel, today)
    for path, content in copies.items():
        path.write_bytes(content)
        sys.stdout.write(f"{path}: {len(content)} bytes\n")
