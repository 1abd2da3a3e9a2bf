"""A new card version from newer catalogues: built, laid over what was known, checked, and kept. Nothing is removed.

`python -m collector.catalogue.update` does it for a collector, in a process of its own: building takes two seconds of
CPU and 70 MB, which must not come out of what receives spans.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.catalogue.build.compile import Sources, compile_card, kept_sources
from collector.catalogue.errors import CardDamaged, CatalogueError, SourceUnavailable
from collector.catalogue.history import merge_provider
from collector.catalogue.shelf import cards, keep_shipped, shipped_files, shipped_version
from collector.catalogue.sources import GENAI_PRICES, LITELLM, Catalogue, fetch, with_vanished
from collector.catalogue.version import (
    INDEX,
    CardFiles,
    CardVersion,
    files_digest,
    provider_text,
    put,
    read_version,
    write_version,
)
from otel_cost.pricing.money import MAX_COST_PICO_USD
from otel_cost.pricing.rates import SECOND_NS

SOURCES_FOLDER = "sources"
NICENESS = 10
"""Of the process beside a collector: receiving spans comes first."""
BEFORE = "before"
"""In the index of a version that an update made: the digest of the version that it was laid over."""


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did: `version` is None when no price, name or model changed."""

    before: CardVersion
    version: CardVersion | None
    origins: tuple[str, ...]


def update(folder: Path, catalogues: Sequence[Catalogue], at: datetime) -> Updated:
    """Make and keep a version of what the catalogues say, as of `at`.

    A catalogue that is not given is taken as it was last time. The first version of a folder is the shipped card.

    Raises:
        SourceUnavailable: a catalogue cannot be compiled; nothing was changed.
        OSError: the folder cannot be written.
    """
    at = at.astimezone(UTC).replace(microsecond=0)
    before, known = _last_version(folder)
    complete = _all_models(folder, catalogues)
    fresh = _compiled(_sources(complete, at))
    files = _merged(known, fresh, int(at.timestamp()) * SECOND_NS)
    keep_shipped(folder)
    version = None
    if json.loads(files[INDEX])["digest"] != json.loads(known[INDEX])["digest"]:
        version = write_version(folder, files, max(at, before.made_at))
    for catalogue in catalogues:
        _remember(folder, complete[catalogue.name], at)
    return Updated(before, version, tuple(catalogue.origin for catalogue in catalogues))


def _last_version(folder: Path) -> tuple[CardVersion, CardFiles]:
    """The newest version that an update has made, else the card that ships now.

    What older programs have shipped is no base: where it was wrong without a date, the error would stay for good.
    """
    for version in reversed(cards(folder)):
        try:
            files = None if version.path is None else read_version(version.path)
        except CardDamaged:
            continue  # the collector says so; what it held is in the versions before it and in the catalogues
        if files is not None and BEFORE in json.loads(files[INDEX]):
            return version, files
    return shipped_version(), shipped_files()


def _all_models(folder: Path, catalogues: Iterable[Catalogue]) -> dict[str, Catalogue]:
    """Both catalogues by name, with the models that they have had: one that a catalogue drops is still called."""
    kept = kept_sources()
    found = {
        name: _remembered(folder, name, kept.described["dated"]) or Catalogue(name, content, kept.described[name])
        for name, content in ((GENAI_PRICES, kept.genai_prices), (LITELLM, kept.litellm))
    }
    for given in catalogues:
        found[given.name] = with_vanished(found[given.name], given)
    return found


def _sources(catalogues: Mapping[str, Catalogue], at: datetime) -> Sources:
    genai_prices, litellm = catalogues[GENAI_PRICES], catalogues[LITELLM]
    sha256 = hashlib.sha256(json.dumps(litellm.content, sort_keys=True).encode()).hexdigest()
    described = {
        "dated": at.isoformat(),
        GENAI_PRICES: genai_prices.origin,
        LITELLM: litellm.origin,
        "litellm price file sha256": sha256,
    }
    return Sources(genai_prices.content, litellm.content, described)


def _compiled(sources: Sources) -> CardFiles:
    try:
        files = compile_card(sources).files
        for name, text in files.items():
            if name != INDEX:
                _check(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, LookupError, re.error) as error:
        origins = " and ".join(sources.described[name] for name in (GENAI_PRICES, LITELLM))
        raise SourceUnavailable(f"{origins}: cannot be made into a rate card: {error!r}") from error
    return files


def _check(provider: Mapping[str, Any]) -> None:
    """What is priced with must be sound, whoever published it: rates are whole and not negative, patterns compile."""
    for model in provider["models"]:
        for kind, text in model.get("patterns", ()):
            if kind == "regex":
                re.compile(text)
        for row in model["rows"]:
            for above, rates in row[4]:
                wrong = [unit for unit, rate in rates.items() if not 0 <= rate <= MAX_COST_PICO_USD]
                if wrong or not isinstance(above, int):
                    raise ValueError(f"{provider['provider']}/{model['id']}: impossible rate of {', '.join(wrong)}")


def _merged(known: CardFiles, fresh: CardFiles, at_ns: int) -> dict[str, str]:
    before, now = ({name: text for name, text in files.items() if name != INDEX} for files in (known, fresh))
    files = {**before, **now}
    for name in before.keys() & now.keys():
        if before[name] != now[name]:
            files[name] = provider_text(merge_provider(json.loads(before[name]), json.loads(now[name]), at_ns))
    digest = files_digest(files)
    providers = sorted(name.removesuffix(".json") for name in files)
    sources, earlier = json.loads(fresh[INDEX])["sources"], json.loads(known[INDEX])["digest"]
    index = {"digest": digest, "sources": sources, "providers": providers, BEFORE: earlier}
    return {**files, INDEX: json.dumps(index, indent=1) + "\n"}


def _remember(folder: Path, catalogue: Catalogue, at: datetime) -> None:
    """Keep a catalogue as it was last, for updates that bring only the other one. Replaced, for it is no history."""
    target = folder / SOURCES_FOLDER / f"{catalogue.name}.json.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    said = {"dated": at.isoformat(), "origin": catalogue.origin, "content": catalogue.content}
    put(target, gzip.compress(json.dumps(said, separators=(",", ":")).encode(), mtime=0))


def _remembered(folder: Path, name: str, shipped_on: str) -> Catalogue | None:
    """A catalogue as it was last, unless this program ships a newer copy, or the file cannot be read."""
    try:
        said = json.loads(gzip.decompress((folder / SOURCES_FOLDER / f"{name}.json.gz").read_bytes()))
        return Catalogue(name, said["content"], said["origin"]) if said["dated"] > shipped_on else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def main(arguments: Sequence[str]) -> int:
    """`FOLDER SOURCE...`: take what can be fetched; one JSON object on standard output says what came of it."""
    folder, *sources = arguments
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    catalogues: list[Catalogue] = []
    problems: list[str] = []
    card = None
    for source in sources:
        try:
            catalogues.append(fetch(source))
        except CatalogueError as error:
            problems.append(str(error))
    try:
        updated = update(Path(folder), catalogues, datetime.now(UTC)) if catalogues else None
        card = updated and updated.version and updated.version.digest
    except (CatalogueError, OSError) as error:
        problems.append(str(error))
    sys.stdout.write(json.dumps({"card": card, "problems": problems}) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
