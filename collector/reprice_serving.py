"""Doing what a request for a price run says, on an open store; what became of it, as JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.attribute import attribute
from collector.catalogue.shelf import open_card
from collector.errors import CollectorError
from collector.reprice_request import Answer, Wanted
from collector.repricing import PriceAgain
from collector.store import Store
from collector.store.reprice import Order, Preview
from collector.store.reprice_account import DIMENSIONS, Change
from collector.store.reprice_selection import Selection
from collector.store.restating import Cancelled
from otel_cost.pricing.overrides import Cards

CURRENT = "current"
MOST_GROUPS = 1_000
"""Of one dimension in an answer, by how much they change; the others are one."""


def serve(store: Store, wanted: Wanted, cards: Cards, cancelled: Callable[[], bool]) -> Answer:
    """Do it. `cards` are those that price what arrives. Never raises for what can go wrong: the answer says it."""
    try:
        return _done(store, wanted, cards, cancelled)
    except Cancelled:
        return {"ok": False, "cancelled": True, "error": "interrupted; nothing was changed"}
    except (CollectorError, OSError, pa.ArrowException) as error:  # Arrow's: a damaged file
        return {"ok": False, "error": str(error)}


def _done(store: Store, wanted: Wanted, cards: Cards, cancelled: Callable[[], bool]) -> Answer:
    repricing = store.repricing(attribute)
    if wanted.action == "undo":
        preview = repricing.undo(wanted.name or "", wanted.by, cancelled)
        return _answer(wanted, wanted.name, None, preview)
    price = PriceAgain(_chosen(wanted.card, store.layout.prices, cards))
    selection = Selection(wanted.since_ns, wanted.until_ns, wanted.models, wanted.providers, wanted.organizations)
    if wanted.action == "dry-run":
        return _answer(wanted, None, price.card, repricing.preview(selection, price, cancelled))
    applied = repricing.apply(Order(selection, price, wanted.by, wanted.name), cancelled)
    return _answer(wanted, applied.name, price.card, applied.preview)


def _chosen(text: str, versions: Path, cards: Cards) -> Cards:
    """The cards that a text names, under the same overrides. Raises NoSuchCard, CardDamaged."""
    if text == CURRENT:
        return cards
    try:
        wanted: str | date = date.fromisoformat(text)
    except ValueError:
        wanted = text
    return cards.use(open_card(versions, wanted))


def _answer(wanted: Wanted, name: str | None, card: str | None, preview: Preview) -> Answer:
    groups = preview.account.groups
    return {
        "ok": True,
        "action": wanted.action,
        "name": name,
        "card": card,
        "archived_spans": preview.archived_spans,
        "total": _change(preview.account.total),
        **{dimension: _groups(keys, groups[dimension]) for dimension, keys in DIMENSIONS.items()},
    }


def _groups(keys: tuple[str, ...], groups: Mapping[tuple[Any, ...], Change]) -> list[dict[str, Any]]:
    """What changes most comes first."""
    ordered = sorted(groups.items(), key=lambda item: (-abs(item[1].delta_usd), -item[1].changed, str(item[0])))
    lines = [{**_named(keys, key), **_change(change)} for key, change in ordered[:MOST_GROUPS]]
    if rest := ordered[MOST_GROUPS:]:
        others = Change()
        for _, change in rest:
            others.add(change)
        lines.append({"others": len(rest), **_change(others)})
    return lines


def _named(keys: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, str | None]:
    return {key: None if value is None else str(value) for key, value in zip(keys, values, strict=True)}


def _change(change: Change) -> dict[str, Any]:
    return {
        "calls": change.calls,
        "changed_calls": change.changed,
        "before_usd": _text(change.before_usd),
        "after_usd": _text(change.after_usd),
        "delta_usd": _text(change.delta_usd),
        "unpriced_before": change.unpriced_before,
        "unpriced_after": change.unpriced_after,
    }


def _text(amount: Decimal) -> str:
    return f"{amount:.12f}"


def whoever() -> str:
    """Who asks, for the log: the user and the machine."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
