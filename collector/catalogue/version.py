"""One card version on disk: a zip of `index.json` and a file per provider, named by its date and digest.

A version is one file so that it is there whole or not at all, and its name holds the digest of its rates, so that no
other rates can ever take its place. The digest is checked whenever a version is opened.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from collector.catalogue.errors import CardDamaged
from otel_cost.errors import RateCardError
from otel_cost.pricing.card import DIGEST_LENGTH, RateCard

INDEX = "index.json"
SUFFIX = ".zip"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{12})\.zip")
_STAMP = "%Y%m%dT%H%M%SZ"
_COMPACT = (",", ":")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)

CardFiles = Mapping[str, str]
"""File name -> text: `index.json` and `PROVIDER.json` of each provider."""


@dataclass(frozen=True, slots=True)
class CardVersion:
    """A card version: when it was made, and what it is called. `path` is None for the one that ships."""

    digest: str  # first 12 hex digits; what spans keep
    made_at: datetime  # UTC
    path: Path | None


def version_of(path: Path) -> CardVersion | None:
    """What a file's name says of it; None if it is no card version."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    return CardVersion(match.group(2), datetime.strptime(match.group(1), _STAMP).replace(tzinfo=UTC), path)


def provider_text(raw: Mapping[str, Any]) -> str:
    """A provider's file: one line per model, so that a changed price is a changed line."""
    head = json.dumps({key: value for key, value in raw.items() if key != "models"}, separators=_COMPACT)
    lines = (json.dumps(model, separators=_COMPACT, ensure_ascii=False) for model in raw["models"])
    body = ",\n".join(lines)
    return f'{head[:-1]},"models":[\n{body}\n]}}\n'


def files_digest(files: CardFiles) -> str:
    """sha256 over the provider files by name: the digest of a card, 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(files):
        if name != INDEX:
            digest.update(name.encode() + b"\0" + files[name].encode() + b"\0")
    return digest.hexdigest()


def write_version(folder: Path, files: CardFiles, made_at: datetime) -> CardVersion:
    """Keep a card as a version; the same card of the same second is kept once.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = json.loads(files[INDEX])["digest"][:DIGEST_LENGTH]
    target = folder / f"{made_at.astimezone(UTC):{_STAMP}}-{digest}{SUFFIX}"
    if not target.exists():
        put(target, _zipped(files))
    return CardVersion(digest, made_at, target)


def put(target: Path, content: bytes) -> None:
    """A whole file or none: written beside its place, synced, then moved there.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def read_version(path: Path) -> dict[str, str]:
    """The files of a version.

    Raises:
        CardDamaged: it cannot be read, or its rates are not those of its digest.
    """
    return _checked(path, _read(path))


def open_version(path: Path) -> RateCard:
    """A version as a rate card, checked now, its providers parsed when asked for. The file may go away afterwards.

    Raises:
        CardDamaged: it cannot be read, or its rates are not those of its digest.
    """
    content = _read(path)
    index: dict[str, Any] = json.loads(_checked(path, content)[INDEX])
    return RateCard(index["digest"][:DIGEST_LENGTH], index, partial(_read_provider, content, path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CardDamaged(f"{path}: cannot be read: {error.strerror or error}") from error


def _checked(path: Path, content: bytes) -> dict[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name).decode() for name in archive.namelist()}
        index = json.loads(files[INDEX])
        said, listed = index["digest"], {f"{provider}.json" for provider in index["providers"]}
    except Exception as error:  # a damaged zip raises whatever its bytes lead to
        raise CardDamaged(f"{path}: no readable card version: {error!r}") from error
    if listed != files.keys() - {INDEX} or files_digest(files) != said:
        raise CardDamaged(f"{path}: the rates are not those of digest {said[:DIGEST_LENGTH]}: the file was changed")
    return files


def _read_provider(content: bytes, path: Path, provider_id: str) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            raw: dict[str, Any] = json.loads(archive.read(f"{provider_id}.json"))
    except (KeyError, ValueError) as error:
        raise RateCardError(f"{path}: cannot read the rates of {provider_id}: {error}") from error
    return raw


def _zipped(files: CardFiles) -> bytes:
    """Deterministic: the same files are the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
