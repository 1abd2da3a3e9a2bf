"""The Python of a template: only what spans with certain counts need, without a question that has one answer.

A span's template is one function that is made once and then called for every span of its shape and names. Its text is
made of the names below and of constants of ours, nothing from a span.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from otel_cost import attributes as keys
from otel_cost.normalise.rules import Input
from otel_cost.normalise.transforms import MAX_USD
from otel_cost.pricing import units
from otel_cost.pricing.money import MAX_COST_PICO_USD, PICO_PER_USD, format_usd

PLAIN = ("whole", "cached", "output", "reasoning")
WRITES = ("written", "short", "hour")
TOTAL, RESPONSE_ID, ZERO, AMOUNT = "total", "response_id", "zero", "amount"
RATES = ("plain", "cached", "short", "hour", "said", "reasoning")
"""What a row of rates and its receipt texts are of, in this order."""

_RECEIPTS = {
    "plain": units.INPUT,
    "cached": units.CACHE_READ,
    "short": units.CACHE_WRITE,
    "hour": units.CACHE_WRITE_1H,
    "said": units.OUTPUT,
    "reasoning": units.REASONING,
}
_RATES = f"({', '.join(f'{name}_rate' for name in RATES)}), ({', '.join(f'at_{name}' for name in RATES)}, receipt)"
_is_int = frozenset({int}).issuperset


@lru_cache(maxsize=256)
def maker(read: tuple[str, ...], counting: Input, has_rows: bool, is_priced: bool) -> Callable[..., Any]:
    """What makes templates of spans in which this is read, in this order: the response id if there is one, counts,
    zeros, amounts.

    It takes the reader of all this at once, the rows, the last row's rates, the unpriced attributes, and the card's
    digest. `has_rows`: not only the last one. `is_priced`: there are rates.
    """
    zeros, amounts = _of(read, ZERO), _of(read, AMOUNT)
    id_and_counts = len(read) - len(amounts)
    first = int(read[0] == RESPONSE_ID)
    body = [f"{', '.join(read)}{',' if len(read) == 1 else ''} = values = take(attributes)"]
    if first:
        body.append(
            f"if type({RESPONSE_ID}) is not str or not {RESPONSE_ID} or {RESPONSE_ID}[0] == '\"': return None"
        )  # a text in JSON
    else:
        body.append(f"{RESPONSE_ID} = None")
    body.append(f"if not is_int(map(type, values[{first}:{id_and_counts}])): return None")
    body += [f"{name} = 0" for name in PLAIN if name not in read]
    body.append("said = output - reasoning")
    signed = [name for name in read if name in (*PLAIN, *WRITES) and name != "output"]
    body.append(f"if {' | '.join(['said', *signed])} < 0: return None")
    if zeros:
        body.append(f"if {' or '.join(zeros)}: return None")
    body += [
        f"if not (type({name}) is float or type({name}) is int) or not 0 <= {name} <= {MAX_USD!r}: return None"
        for name in amounts
    ]
    body += [*_written(read), *_entered(read, counting)]
    body.append(f"if not 0 < whole + output <= {units.MAX_QUANTITY}: return None")
    body += _priced(read, has_rows) if is_priced else [f"return {RESPONSE_ID}, unpriced.copy()"]
    lines = "\n        ".join(body)
    row = f"    {_RATES} = last\n" if is_priced and not has_rows else ""
    text = f"def make(take, rows, last, unpriced, digest):\n{row}    def price(attributes, at_ns):\n        {lines}\n"
    scope: dict[str, Any] = {
        "is_int": _is_int,
        "format_usd": format_usd,
        "with_parts": with_parts,
        "counting": counting,
    }
    exec(f"{text}    return price\n", scope)
    made: Callable[..., Any] = scope["make"]
    return made


def _of(read: tuple[str, ...], kind: str) -> list[str]:
    return [name for name in read if name.startswith(kind)]


def _written(read: tuple[str, ...]) -> list[str]:
    """`parts`, of the input; `hour` and `short` of the cache-written tokens, which must fit the whole of them."""
    if not any(name in read for name in WRITES):
        return ["parts = cached"]
    of = [name for name in ("short", "hour") if name in read]
    lines = [] if "hour" in read else ["hour = 0"]
    if "written" not in read:
        return [*lines, *([] if "short" in read else ["short = 0"]), "parts = cached + short + hour"]
    if of:
        lines.append(f"if {' + '.join(of)} > written: return None")
    return [*lines, "short = written - hour", "parts = cached + written"]


def _entered(read: tuple[str, ...], counting: Input) -> list[str]:
    """`whole`, with its parts."""
    call = f"whole = with_parts(counting, whole, output, parts, reasoning, {TOTAL if TOTAL in read else None})"
    if counting is Input.EXCLUSIVE:
        return [call, "if whole is None: return None"]
    other = f" or {TOTAL} != whole + output" if TOTAL in read else ""
    return [f"if parts > whole{other}:", f"    {call}", "    if whole is None: return None"]


def with_parts(counting: Input, whole: int, output: int, parts: int, reasoning: int, total: int | None) -> int | None:
    """The input with its parts, by the rules of `settle`; None where they change more than that."""
    excluded = counting is Input.EXCLUSIVE
    if total is not None:
        if total != whole + output:
            if total != whole + output + parts or parts == reasoning or counting is Input.INCLUSIVE:
                return None
            excluded = True
    elif parts > whole and counting is Input.UNKNOWN:
        excluded = True
    if excluded:
        return whole + parts
    return whole if parts <= whole else None


def _priced(read: tuple[str, ...], has_rows: bool) -> list[str]:
    """The attributes, by the first row that applies, or the last."""
    lines = []
    if has_rows:
        lines = [
            "rates = last",
            "for since_ns, until_ns, above, window, of_row in rows:",
            "    if since_ns <= at_ns < until_ns and whole > above and (window is None or window.contains(at_ns)):",
            "        rates = of_row",
            "        break",
            "if rates is None: return None",
            f"{_RATES} = rates",
        ]
    has_writes = any(name in read for name in WRITES)
    counted = [
        name
        for name in RATES
        if name in ("plain", "said")
        or name in read
        or (has_writes and name == "short")
        or (has_writes and name == "hour")
    ]
    lines.append("plain = whole - parts")
    lines.append(f"total = {' + '.join(f'{name} * {name}_rate' for name in counted)}")
    lines.append(f"if not 0 < total <= {MAX_COST_PICO_USD}: return None")
    start = "receipt"
    for name in counted:
        lines.append(f"text = f'{{{start}}};{_RECEIPTS[name]}={{{name}}}{{at_{name}}}' if {name} else {start}")
        start = "text"
    usd = f"'0.' + str(total).zfill(12).rstrip('0') if total < {PICO_PER_USD} else format_usd(total)"
    said = {
        keys.OTEL_COST_COST_STATUS: "'priced'",
        keys.OTEL_COST_COST_USD: usd,
        keys.GEN_AI_USAGE_COST_AMOUNT: f"total / {PICO_PER_USD}",
        keys.GEN_AI_USAGE_COST_CURRENCY: "'USD'",
        keys.GEN_AI_USAGE_COST_SOURCE: "'local'",
        keys.OTEL_COST_CARD: "digest",
        keys.OTEL_COST_RECEIPT: "text",
    }
    lines.append(f"return {RESPONSE_ID}, {{{', '.join(f'{key!r}: {value}' for key, value in said.items())}}}")
    return lines
