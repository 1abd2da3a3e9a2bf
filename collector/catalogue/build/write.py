"""Card data to files, deterministically."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from collector.catalogue.build.model import Model, Provider

COMPACT = (",", ":")


def provider_text(provider: Provider) -> str:
    """A provider's file: one line per model, so that a changed price is a changed line."""
    lines = [json.dumps(_model(model), separators=COMPACT, ensure_ascii=False) for model in provider.models]
    about: dict[str, Any] = {"provider": provider.id, "fallback_providers": provider.fallback_providers}
    if provider.billed_at_end:
        about["billed_at"] = "end"
    head = json.dumps(about, separators=COMPACT)
    body = ",\n".join(lines)
    return f'{head[:-1]},"models":[\n{body}\n]}}\n'


def _model(model: Model) -> dict[str, Any]:
    raw: dict[str, Any] = {"id": model.id, "source": model.source, "names": model.names}
    if model.canonical is not None:
        raw["canonical"] = model.canonical
    if model.patterns:
        raw["patterns"] = model.patterns
    if model.region:
        raw["region"] = model.region
    if model.minimums:
        raw["minimums"] = model.minimums
    if model.uplifts:
        raw["uplifts"] = model.uplifts
    if model.fees:
        raw["fees"] = model.fees
    if model.first_price_ns is not None:
        raw["first_price_ns"] = model.first_price_ns
    raw["rows"] = [[row.variant, row.start_ns, row.end_ns, row.window, row.tiers] for row in model.rows]
    return raw


def card_files(providers: list[Provider], sources: dict[str, str]) -> dict[str, str]:
    """File name -> text of the whole card, `index.json` with the digest included."""
    ordered = sorted(providers, key=lambda provider: provider.id)
    files = {f"{provider.id}.json": provider_text(provider) for provider in ordered}
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name].encode() + b"\0")
    index = {"digest": digest.hexdigest(), "sources": sources, "providers": [provider.id for provider in ordered]}
    files["index.json"] = json.dumps(index, indent=1) + "\n"
    return files


def write_files(directory: Path, files: dict[str, str]) -> None:
    """Write the card and remove provider files that it no longer has."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
