"""The card versions of a folder, and the one that ships, which is always among them.

A ledger keeps its versions in `prices/` of its live folder; without a ledger they are in the user's data folder.
Nothing here removes or changes a version: a price that was ever used can be looked up by its digest for good.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from collector.catalogue.errors import CardDamaged, NoSuchCard
from collector.catalogue.version import SUFFIX, CardFiles, CardVersion, open_version, version_of, write_version
from otel_cost.pricing import RateCard, default_card
from otel_cost.pricing.card import DATA_DIRECTORY, DIGEST_LENGTH

logger = logging.getLogger(__name__)

_SHOWN_VERSIONS = 5
LEAST_DIGITS = 4
"""Of a digest that is given in short."""


def user_folder() -> Path:
    """Where card versions are kept without a ledger."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "otel-cost" / "prices"


def shipped_version() -> CardVersion:
    """The card of this program, as a version."""
    index = default_card().index
    made_at = datetime.fromisoformat(index["sources"]["dated"]).replace(tzinfo=UTC)
    return CardVersion(index["digest"][:DIGEST_LENGTH], made_at, None)


def cards(folder: Path) -> tuple[CardVersion, ...]:
    """The versions of a folder and the shipped one, oldest first. A folder that is not there has none of its own.

    Of several of one moment the shipped one is the newest: an older program shipped the others.
    """
    own = [version for path in folder.glob(f"*{SUFFIX}") if (version := version_of(path))]
    shipped = shipped_version()
    if all(version.digest != shipped.digest for version in own):
        own.append(shipped)
    return tuple(sorted(own, key=lambda version: (version.made_at, version.digest == shipped.digest, version.digest)))


def open_card(folder: Path, wanted: str | date) -> RateCard:
    """A version by its digest (or the beginning of it), or the newest one that was made on a day or before (UTC).

    Raises:
        NoSuchCard: there is none; the message lists what there is.
        CardDamaged: the file of that version cannot be used.
    """
    versions = cards(folder)
    if isinstance(wanted, str):
        found = [version for version in versions if version.digest.startswith(wanted.lower()[:DIGEST_LENGTH])]
        distinct = {version.digest for version in found}
        if len(wanted) < LEAST_DIGITS or len(distinct) != 1:
            problem = "is not one card but several" if len(distinct) > 1 else "is the digest of no card version"
            raise NoSuchCard(f"{wanted!r} {problem}; {_listed(versions, folder)}")
        return open_any(found)
    midnight = datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC) + timedelta(days=1)
    early = [version for version in versions if version.made_at < midnight]
    if not early:
        raise NoSuchCard(f"no card version is as old as {wanted.isoformat()}; {_listed(versions, folder)}")
    return open_any(early[-1:])


def newest_card(folder: Path) -> RateCard:
    """The newest version that can be used. Each damaged one is logged; the shipped card is the last resort."""
    for version in reversed(cards(folder)):
        try:
            return open_any([version])
        except CardDamaged as error:
            logger.error("card version %s is damaged and is not used: %s", version.digest, error)
    return default_card()


def keep_shipped(folder: Path) -> None:
    """Keep the card of this program as a version, so that it can still be opened after an upgrade.

    Raises:
        OSError: the folder cannot be written.
    """
    shipped = shipped_version()
    if any(version.digest == shipped.digest and version.path for version in cards(folder)):
        return
    write_version(folder, shipped_files(), shipped.made_at)


def shipped_files() -> CardFiles:
    """The files of the card that ships."""
    return {path.name: path.read_text(encoding="utf-8") for path in DATA_DIRECTORY.glob("*.json")}


def open_any(versions: list[CardVersion]) -> RateCard:
    """The first of several copies of a version that can be used; a damaged copy of the shipped card is no loss.

    Raises:
        CardDamaged: none of them can.
    """
    problem: CardDamaged | None = None
    for version in versions:
        if version.path is None or version.digest == default_card().digest:
            return default_card()
        try:
            return open_version(version.path)
        except CardDamaged as error:
            problem = error
    assert problem is not None
    raise problem


def _listed(versions: tuple[CardVersion, ...], folder: Path) -> str:
    newest = reversed(versions[-_SHOWN_VERSIONS:])
    shown = ", ".join(f"{version.digest} ({version.made_at:%Y-%m-%d})" for version in newest)
    more = ", ..." if len(versions) > _SHOWN_VERSIONS else ""
    return f"versions in {folder}, newest first: {shown}{more}"
