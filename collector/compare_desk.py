"""Comparisons with other models, asked for over the API: over the published file, with the rates in use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from collector.analysis.compare_models import Target, target_of
from collector.analysis.compare_scores import Wanted
from collector.catalogue.describe import nearest
from collector.comparing import Which, compare, good_enough, scores_of, usage_of, window_of
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection
from collector.serve.api.compared import MAX_CALLS, Compared, Scores, TooManyCalls, UnknownModel
from collector.store.query import query_published
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards


class CompareDesk:
    """See `collector.serve.api.compared.Compare`."""

    def __init__(self, published: Path, cards: Callable[[], Cards]) -> None:
        self._ask = partial(query_published, published)
        self._cards = cards

    def __call__(
        self, selection: Selection, models: tuple[str, ...], by: str | None, most: int | None, wanted: Wanted | None
    ) -> Compared:
        cards = self._cards()
        card, which = cards.card(), _which(self._ask, selection)
        asked = _targets(card, models)
        usage = usage_of(self._ask, selection.window, which)
        calls = sum(each.calls for each in usage.used)
        if most is None and calls > MAX_CALLS:
            raise TooManyCalls(f"{calls:,}")
        every = 1 if most is None else max(1, -(-calls // most))
        targets, screened = good_enough(card, usage.used, time.time_ns(), asked, wanted)
        found = compare(self._ask, usage, cards.base, cards.overrides, by, targets, which, every)
        counts = usage.partial_calls, usage.estimated_calls, calls, every
        windows = {target: window_of(target) for target in targets}
        scored = Scores(wanted, screened, scores_of((*targets, *screened.below), wanted)) if wanted else None
        return Compared(found, windows, card.digest, usage.left_out, *counts, scored)


def _which(ask: Ask, selection: Selection) -> Which:
    given: dict[str, object] = {}
    if selection.filters:
        return Which(f"seq IN ({Scope(ask, selection).seqs(given)})", given)
    return Which() if selection.org_id is None else Which("org_id = $org", {"org": selection.org_id})


def _targets(card: RateCard, models: Sequence[str]) -> list[Target]:
    found = []
    for name in models:
        target = target_of(card, name)
        if target is None:
            provider, _, rest = name.rpartition("/")
            raise UnknownModel(name[:80], ", ".join(nearest(card, provider or None, rest) or nearest(card, None, rest)))
        found.append(target)
    return list(dict.fromkeys(found))
