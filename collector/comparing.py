"""Stored calls, priced as if another model had done them: the rules of ingestion with the model replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.analysis.compare import Amounts, Comparison, Group, comparison
from collector.analysis.compare_models import Target, Used, candidates, choose
from collector.analysis.compare_scores import Screened, Wanted, screen
from collector.analysis.compare_tokens import SAME, Ratio, family_of, ratio
from collector.catalogue.benchmark_scores import Score, score_of
from collector.catalogue.context_windows import context_window
from collector.decode.columns import LEDGER_USAGE_COLUMNS
from collector.price.arrow import ints
from collector.repricing import PriceAgain
from collector.store.rows import pico_usd
from collector.store.statements import query
from otel_cost.call import Flag
from otel_cost.pricing import RateCard, Status
from otel_cost.pricing.money import PPM
from otel_cost.pricing.overrides import Cards, Overrides

BY = ("agent", "feature", "model", "customer", "team")
COMPARED = "compared"
NO_TEXT = (
    *("embeddings", "image_generation", "image_edit", "video_generation", "speech", "transcription", "translation"),
    *("rerank", "ocr", "moderation"),
)
"""Operations that a text model does not do."""

CALLS_AT_A_TIME = 100_000
"""More: the memory of each part. Fewer: each one is a query."""

Ask = Callable[[str, Mapping[str, object]], pa.Table]
"""Runs one statement over the published ledger, with its named parameters."""


class Period(Protocol):
    """Instants, start included, end excluded; None: open."""

    @property
    def since(self) -> datetime | None: ...

    @property
    def until(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Which:
    """Of which calls of a period: a condition on the rows of `_ledger.call_log`, and the parameters that it names."""

    condition: str = "TRUE"
    parameters: Mapping[str, object] = field(default_factory=dict)


EVERY = Which()

_UNREAD = (
    *("provider", "request_model", "response_model", "reported_cost_usd", "reported_by_provider"),  # as the target's
    "response_id",  # no price depends on it
)
"""Columns that stay empty whatever the ledger has: reading them would take half as long as reading all others."""

_TOKENS = "_tokens"
_FALLBACK, _VARIANT = int(Flag.RATE_FALLBACK), int(Flag.VARIANT_NOT_PRICED)
_MOST_TOKENS = 2**39
"""Of a call's input or output; more is no number of tokens."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Usage:
    """What is there to compare, and what is left out."""

    used: tuple[Used, ...]  # by model, the dearest first
    parts: tuple[tuple[datetime, datetime], ...]  # periods that hold so many calls as are read at a time
    left_out: dict[str, tuple[int, Decimal]]  # reason -> calls, and what those of them cost that have a price
    partial_calls: int  # of those that are compared
    estimated_calls: int


def usage_of(ask: Ask, period: Period, which: Which = EVERY) -> Usage:
    """What the calls of a period used. Raises what `ask` raises."""
    sql = query("compare_used").format(operations=_listed(NO_TEXT), which=which.condition)
    found = ask(sql, {**_ends(period), **which.parameters}).to_pylist()
    lines = [line for line in found if not line["is_of_hour"]]
    hours = {line["hour"]: line["calls"] for line in found if line["is_of_hour"] and line["kind"] == COMPARED}
    models: dict[tuple[str | None, str | None], list[int]] = {}
    left_out: dict[str, tuple[int, Decimal]] = {}
    compared = [line for line in lines if line["kind"] == COMPARED]
    for line in lines:
        if line["kind"] != COMPARED:
            calls, cost = left_out.get(line["kind"], (0, Decimal(0)))
            left_out[line["kind"]] = calls + line["calls"], cost + line["cost_usd"]
    for line in compared:
        sums = models.setdefault((line["provider"], line["model"]), [0] * 6)
        for place, name in enumerate(("calls", "input_tokens", "cache_read_tokens", "output_tokens")):
            sums[place] += line[name]
        sums[4] += int(line["cost_usd"].scaleb(12))
        sums[5] = max(sums[5], line["longest_tokens"])
    used = [Used(provider, model, *sums) for (provider, model), sums in models.items()]
    used.sort(key=lambda each: (-each.cost_pico_usd, -each.calls, str(each)))
    partial, estimated = (sum(line[name] for line in compared) for name in ("partial_calls", "estimated_calls"))
    return Usage(tuple(used), tuple(_parts(hours, period)), left_out, partial, estimated)


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


def _ends(window: Period) -> dict[str, datetime]:
    """Naive UTC, as the ledger keeps time; the end of what a nanosecond timestamp can say where the window is open."""
    since = window.since.astimezone(UTC).replace(tzinfo=None) if window.since else datetime(1970, 1, 1)
    until = window.until.astimezone(UTC).replace(tzinfo=None) if window.until else datetime(2200, 1, 1)
    return {"since": since, "until": until}


def _parts(hours: Mapping[datetime, int], window: Period) -> Iterator[tuple[datetime, datetime]]:
    """Periods of whole hours with at most `CALLS_AT_A_TIME` calls, or of one hour that holds more."""
    ends = _ends(window)
    start, held = ends["since"], 0
    for hour, calls in hours.items():
        if held and held + calls > CALLS_AT_A_TIME:
            yield start, hour
            start, held = hour, 0
        held += calls
    if held:
        yield start, ends["until"]


def compare(
    ask: Ask,
    usage: Usage,
    card: RateCard,
    overrides: Overrides,
    by: str | None,
    targets: Sequence[Target],
    which: Which = EVERY,
    every: int = 1,
) -> Comparison:
    """Price all calls of `usage` (of the same `which`) on every target, by the prices of when each one started; or one
    in `every` so many of them, whichever their numbers in the ledger choose: always the same ones."""
    price = PriceAgain(Cards(card, overrides))
    columns = dict.fromkeys((*price.columns, "model", *((by,) if by else ())))
    listed = ", ".join(map(_read, columns))
    condition = which.condition if every == 1 else f"{which.condition} AND hash(seq) % {every:d} = 0"
    sql = query("compare_calls").format(columns=listed, operations=_listed(NO_TEXT), which=condition)
    groups: dict[str | None, Group] = {}
    for at in range(0, len(usage.parts), every):
        (since, _), (_, until) = usage.parts[at], usage.parts[at : at + every][-1]
        rows = ask(sql, {"since": since, "until": until, **which.parameters})
        if rows.num_rows:
            _add(groups, _Part(rows, by), price, targets)
    return comparison(groups, targets)


def _read(name: str) -> str:
    """A column as SQL; one that is not read is NULL of its own type."""
    return f'CASE WHEN FALSE THEN "{name}" END AS "{name}"' if name in _UNREAD else f'"{name}"'


class _Part:
    """Rows of the ledger, and to which group each belongs."""

    def __init__(self, rows: pa.Table, by: str | None) -> None:
        self.rows = rows
        column = rows.column(by).cast(pa.string()) if by else pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        self.values: list[str | None] = encoded.dictionary.to_pylist()
        self.numbers: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)

    def sums(self, amounts: Ints) -> list[int]:
        """The sum of each group: exact, also where it does not fit an int64."""
        found = pa.table({"at": self.numbers, "of": pa.array(amounts).cast(pa.decimal128(38, 0))})
        by_group = found.group_by("at").aggregate([("of", "sum")])
        sums = dict(zip(by_group.column("at").to_pylist(), by_group.column("of_sum").to_pylist(), strict=True))
        return [int(sums.get(number, 0)) for number in range(len(self.values))]


def _add(groups: dict[str | None, Group], part: _Part, price: PriceAgain, targets: Sequence[Target]) -> None:
    costs = part.sums(ints(pico_usd(part.rows.column("cost_usd"))))
    calls = np.bincount(part.numbers, minlength=len(part.values)).tolist()
    found = [Group(value, calls[at], costs[at]) for at, value in enumerate(part.values)]
    for target in targets:
        for group, amounts in zip(found, _amounts(part, price, target), strict=True):
            group.models[target] = amounts
    for group in found:
        groups.setdefault(group.value, Group(group.value)).add(group)


def _amounts(part: _Part, price: PriceAgain, target: Target) -> list[Amounts]:
    """What each group costs on a target: once, or with the fewest and the most tokens that the same texts may have."""
    ratios = _ratios(part.rows.column("model"), target)
    low = price(_on(part.rows, target, ratios[:, 0]))
    exact = bool((ratios == PPM).all())
    high = low if exact else price(_on(part.rows, target, ratios[:, 1]))
    sums = [part.sums(pc.fill_null(costs.column("cost_pico_usd"), 0).to_numpy()) for costs in (low, high)]
    flags, status = high.column("flags").to_numpy(), high.column("cost_status").cast(pa.string())
    counts = [
        np.bincount(part.numbers[where], minlength=len(part.values)).tolist()
        for where in (
            pc.or_(*(pc.is_null(costs.column("cost_pico_usd")) for costs in (low, high))).to_numpy(),
            pc.fill_null(pc.equal(status, Status.PARTIAL.value), False).to_numpy(),
            flags & _FALLBACK != 0,
            flags & _VARIANT != 0,
            _is_too_long(part.rows, target, ratios[:, 0]),
        )
    ]
    return [Amounts(*figures) for figures in zip(*sums, *counts, strict=True)]


def window_of(target: Target) -> int | None:
    """Its context window in tokens; None: not known."""
    return context_window(target.provider, target.model)


def good_enough(
    card: RateCard, used: Sequence[Used], at_ns: int, asked: Sequence[Target], wanted: Wanted | None
) -> tuple[list[Target], Screened]:
    """The models to compare with: those asked for, else some that are chosen, of which each scores what is wanted."""
    screened = screen(asked or candidates(card), wanted, score_of)
    return list(screened.passed) if asked else choose(card, used, at_ns, window_of, screened.passed), screened


def scores_of(targets: Sequence[Target], wanted: Wanted | None) -> dict[Target, Score]:
    """What is known of them in the benchmark that was named."""
    if wanted is None:
        return {}
    found = {target: score_of(wanted.benchmark, target.model) for target in targets}
    return {target: score for target, score in found.items() if score is not None}


def _is_too_long(rows: pa.Table, target: Target, tokens_ppm: Ints) -> npt.NDArray[np.bool_]:
    """Which calls have no room on a target, with the fewest tokens that their texts may have there. What the same
    model did fits."""
    window = window_of(target)
    if window is None:
        return np.zeros(rows.num_rows, np.bool_)
    columns = (pc.fill_null(rows.column(name), 0).to_numpy() for name in ("input_tokens", "output_tokens"))
    tokens: Ints = sum((np.clip(column, 0, _MOST_TOKENS) for column in columns), np.zeros(rows.num_rows, np.int64))
    others = pc.fill_null(pc.not_equal(rows.column("model").cast(pa.string()), target.model), True).to_numpy()
    found: npt.NDArray[np.bool_] = (_scaled(tokens, tokens_ppm) > window) & others
    return found


def most_on(rows: pa.Table, target: Target, price: PriceAgain) -> Ints:
    """What each of some calls would cost at most on a target, in pico-USD; -1: not known."""
    costs = price(_on(rows, target, _ratios(rows.column("model"), target)[:, 1])).column("cost_pico_usd")
    return np.asarray(pc.fill_null(costs, -1).to_numpy(), np.int64)


def _ratios(models: pa.ChunkedArray, target: Target) -> Ints:
    """Per row the least and the most tokens on the target per million of its own."""
    encoded = models.cast(pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
    other = family_of(target.model)
    each = [_ratio(model, target, other) for model in encoded.dictionary.to_pylist()]
    chosen: Ints = np.array(each, np.int64).reshape(-1, 2)[encoded.indices.to_numpy(zero_copy_only=False)]
    return chosen


def _ratio(model: str | None, target: Target, other: Any) -> Ratio:
    return SAME if model == target.model else ratio(family_of(model or ""), other)


def _on(rows: pa.Table, target: Target, tokens_ppm: Ints) -> pa.Table:
    """The rows as if the target had done them: its name and tokens, and no cost that somebody reported."""
    count = rows.num_rows
    said: dict[str, pa.Array] = {
        "provider": pa.repeat(target.provider, count),
        "request_model": pa.repeat(target.model, count),
        "response_model": pa.nulls(count, pa.string()),
        "reported_cost_usd": pa.nulls(count, rows.schema.field("reported_cost_usd").type),
        "reported_by_provider": pa.repeat(False, count),
    }
    if (tokens_ppm != PPM).any():
        for name in LEDGER_USAGE_COLUMNS:
            column = rows.column(name)
            scaled = _scaled(pc.fill_null(column, 0).to_numpy(), tokens_ppm)
            said[name] = pa.array(scaled, mask=pc.is_null(column).to_numpy())
        said["usage_json"] = _scaled_json(rows.column("usage_json"), tokens_ppm)
    for name, column in said.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows


def _scaled(counts: Ints, tokens_ppm: Ints) -> Ints:
    """Rounded down, so that parts never outgrow their whole. What is no usable count stays as it is."""
    usable = (counts >= 0) & (counts < 2**40)
    scaled: Ints = np.where(usable, np.where(usable, counts, 0) * tokens_ppm // PPM, counts)
    return scaled


def _scaled_json(texts: pa.ChunkedArray, tokens_ppm: Ints) -> pa.Array:
    found: list[str | None] = texts.to_pylist()
    for at, text in enumerate(found):
        if text is not None and tokens_ppm[at] != PPM:
            usage: dict[str, int] = json.loads(text)
            ppm = int(tokens_ppm[at])
            scaled = {
                unit: count * ppm // PPM if unit.endswith(_TOKENS) and count >= 0 else count
                for unit, count in usage.items()
            }
            found[at] = json.dumps(scaled, separators=(",", ":"))
    return pa.array(found, pa.string())
