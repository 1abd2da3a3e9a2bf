"""What `otel-cost doctor app` makes of the calls that an app was seen to make: what is wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from otel_cost.pricing.result import REASON_NO_USAGE


@dataclass(frozen=True, slots=True)
class Seen:
    """Calls that are alike. `cost_usd` None: none of them has a price."""

    provider: str | None
    model: str | None
    operation: str | None
    scopes: tuple[str, ...]
    is_enriched: bool
    failed: bool
    counted: bool
    has_usage: bool
    cost_status: str | None
    cost_reason: str | None
    calls: int
    with_agent: int
    with_customer: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Process:
    """One Python process of the app, as it described itself at its end."""

    pid: int
    python: str
    command: str
    is_loaded: bool  # whether otel-cost was
    libraries: Mapping[str, str | None]
    outside_http: Sequence[str]
    problems: Sequence[str]
    stats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the user wants to know. Without `is_wrong` all is well and this is advice."""

    what: str
    do: str
    is_wrong: bool = True


def findings(seen: Sequence[Seen], processes: Sequence[Process]) -> list[Finding]:
    """What is wrong or can be better, the worst first."""
    found = [*_not_loaded(seen, processes), *_nothing_seen(seen, processes), *_in_process(processes)]
    for each in seen:
        found += _of_calls(each)
    found += _owners(seen)
    return sorted(dict.fromkeys(found), key=lambda finding: not finding.is_wrong)


def _not_loaded(seen: Sequence[Seen], processes: Sequence[Process]) -> Iterable[Finding]:
    if not seen and not any(process.is_loaded for process in processes):
        yield Finding(
            "otel-cost was loaded in no process of the app",
            "is it a Python app, and is otel-cost installed in its environment? `pip install otel-cost` there",
        )


def _nothing_seen(seen: Sequence[Seen], processes: Sequence[Process]) -> Iterable[Finding]:
    libraries = sorted({name for process in processes for name in process.libraries})
    if not seen and any(process.is_loaded for process in processes):
        used = f"though it loaded {', '.join(libraries)}" if libraries else "and loaded no SDK that is known"
        yield Finding(
            f"the app was seen to make no model call, {used}",
            "let it make one while it is watched; other libraries than httpx, aiohttp, requests and botocore, other "
            "languages and other machines are not seen",
        )


def _in_process(processes: Sequence[Process]) -> Iterable[Finding]:
    for process in processes:
        if not (process.is_loaded or process.libraries):
            continue  # a helper, in some other Python
        where = f"process {process.pid} ({process.command[:80]})"
        for problem in process.problems:
            yield Finding(f"{where}: {problem}", "put that right in the app's Python (docs/instrumentation.md)")
        for why in process.outside_http:
            yield Finding(
                f"{where}: {why}; its calls are seen only if it writes spans of its own",
                "switch its own telemetry on, or call the provider's HTTP API",
            )
        for name, count in sorted(process.stats.items()):
            if name.startswith("failed."):
                yield Finding(f"{where}: {name.removeprefix('failed.')} failed {count} times", "please report it")


def _of_calls(seen: Seen) -> Iterable[Finding]:
    what = f"{seen.calls} x {seen.provider or 'unknown provider'} {seen.model or 'unknown model'}"
    if seen.failed or seen.cost_status in ("priced", "free", "reported"):
        return
    if seen.cost_status == "estimated":
        yield Finding(
            f"{what}: tokens are estimated, for the answer, or what the app read of it, did not report them",
            "of whole streams ask for them: stream_options={'include_usage': True}, or OTEL_COST_INCLUDE_USAGE=true",
            is_wrong=False,
        )
    elif seen.cost_reason == REASON_NO_USAGE:
        yield Finding(
            f"{what}: no usage was reported, so there is no cost",
            "streams: stream_options={'include_usage': True}, or OTEL_COST_INCLUDE_USAGE=true",
        )
    elif seen.cost_status == "partial":
        yield Finding(f"{what}: part of the usage has no price ({seen.cost_reason})", _OVERRIDE)
    else:
        yield Finding(f"{what}: unpriced ({seen.cost_reason or 'no reason given'})", _OVERRIDE)


_OVERRIDE = "`otel-cost prices update`, or say the price: processors.cost.overrides (docs/overrides.md)"


def _owners(seen: Sequence[Seen]) -> Iterable[Finding]:
    calls = sum(each.calls for each in seen)
    for owner, named, example in (
        ("agent", sum(each.with_agent for each in seen), "otel_cost.agent('name')"),
        ("customer", sum(each.with_customer for each in seen), "otel_cost.tags(customer='name')"),
    ):
        if named < calls:
            yield Finding(
                f"{calls - named} of {calls} calls name no {owner}",
                f"if their cost should be told apart: with {example}: ... (docs/app.md)",
                is_wrong=False,
            )


def from_row(row: Mapping[str, Any]) -> Seen:
    """A row of the query `seen_calls`."""
    return Seen(**{**row, "scopes": tuple(row["scopes"])})
