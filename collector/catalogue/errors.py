"""What can go wrong with card versions and their sources; messages are for people."""

from __future__ import annotations

from collector.errors import CollectorError


class CatalogueError(CollectorError):
    """Base of the errors of the catalogue."""


class CardDamaged(CatalogueError):
    """A card version on disk cannot be read, or is not what its digest says."""


class NoSuchCard(CatalogueError):
    """No card version has that digest or is as old as that date; the message lists those that there are."""


class SourceUnavailable(CatalogueError):
    """A price catalogue cannot be fetched, read or understood. Nothing was changed."""
