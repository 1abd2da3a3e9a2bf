"""Which model a call used: from what the span says to a model of the rate card, by ten rules in order.

1. Trim, lower-case; the provider by alias; without a provider, by the shape of the model name.
2. (User overrides come first; they are models of the card like any other.)
3. Wrappers go: ARNs, `projects/../models/`, `models/`, the provider's own prefix, `[1m]`, `@default`.
4. The exact name. A region prefix (`us.`, `eu.`) is part of the name; a region without rates of its own is flagged.
5. `ft:BASE:org:..` is the fine-tuned card of BASE, never BASE itself.
6. A date suffix goes only when the dated name has no card of its own.
7. Spelling: dots and dashes, `claude-4-sonnet` and `claude-sonnet-4`, `gpt-35` and `gpt-3.5`.
8. `-latest` is a name like any other, with dated rates; without a card of its own it is the plain name.
9. The response's model first, then the request's.
10. Else nothing: unpriced, with the reason. No prefix match crosses a version digit, so that `claude-opus-5` never
    prices `claude-opus-5-5`, nor `gpt-4` `gpt-4o`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from otel_cost.call import Flag
from otel_cost.errors import RateCardError
from otel_cost.pricing.card import ModelCard, Pattern, ProviderCard, RateCard
from otel_cost.pricing.providers import (
    FRAMEWORKS,
    MODEL_SHAPES,
    OWN_PREFIXES,
    UNPRICED_PROVIDERS,
    canonical_provider,
)

MAX_REMEMBERED = 8192
MAX_NAME_LENGTH = 512

# Patterns are compiled when first used: most names are exact, and an app pays for its start-up.

_WRAPPERS = (
    r"^arn:[^/]*:(?:inference-profile|foundation-model|custom-model)/",
    r"^projects/.*/(?:publishers/[^/]+/)?models/",
    r"^publishers/[^/]+/models/",
    r"^models/",
    r"^accounts/fireworks/models/",
)
_AROUND = " \t\r\n'\"`"
"""What may stand around a name by mistake."""
_ARN_REGION = r"^arn:aws[a-z\-]*:bedrock:([a-z0-9\-]+):[^/]*:foundation-model/(.+)$"
_TRAILERS = r"(?:\[1m\]|@default|@latest)$"
_DATE = r"(?:[-@]20\d{6}|-20\d{2}-[01]\d-[0-3]\d|-(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?=$|-v\d|:)"
_REVISION = r"-00\d$"
_COMPACT_DATE = r"-(20\d{2})([01]\d)([0-3]\d)(?=$|-|:)"
_REGION = r"^(?:us-gov|us|eu|apac|au|jp|in|ca|sa|me|af|global)\."
_SUFFIX_WORD = (
    r"(?:latest|default|preview|exp|experimental|beta|stable|instruct|it|v(?:[12]|0\.\d)(?![\d.])|e?\d+b"
    r"|20\d{6}|20\d{2}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{4}|0\d\d)"
)
_SUFFIX = rf"(?:[-@:]{_SUFFIX_WORD}|:\d+k|:\d(?!\d))*"
_SUFFIX_AFTER_SEPARATOR = rf"(?:{_SUFFIX_WORD}(?:[-@:]{_SUFFIX_WORD}|:\d+k|:\d(?!\d))*)?"
_SEPARATORS = ("-", "@", ":", ".", "/")


class Resolution(NamedTuple):
    """The model found, or None; `reason` says how it was found or why not."""

    model: ModelCard | None
    reason: str
    flags: Flag = Flag.NONE


def resolve(card: RateCard, provider: str | None, request_model: str | None, response_model: str | None) -> Resolution:
    """The model of the card that a call used. Never raises; remembered per distinct key, bounded."""
    key = (provider, request_model, response_model)
    found = card.memo.get(key)
    if found is None:
        try:
            found = _resolve(card, provider, request_model, response_model)
        except RateCardError as error:  # a damaged installation prices nothing, and breaks nobody
            found = Resolution(None, str(error))
        remember(card, key, found)
    assert isinstance(found, Resolution)
    return found


def remember(card: RateCard, key: object, value: object) -> None:
    """Keep something found out from the card, up to a bound; names can come from anyone, so the bound must hold."""
    if len(card.memo) >= MAX_REMEMBERED:
        card.memo.clear()
    card.memo[key] = value


def _resolve(card: RateCard, provider: str | None, request_model: str | None, response_model: str | None) -> Resolution:
    names = _by_precedence(request_model, response_model)
    if not names:
        return Resolution(None, "no model name")
    reasons = []
    for name in names:
        if len(name) > MAX_NAME_LENGTH:
            reasons.append(f"model name of {len(name)} characters")
            continue
        found = resolve_name(card, provider, name)
        if found.model is not None:
            return found
        reasons.append(found.reason)
    return Resolution(None, "; ".join(dict.fromkeys(reasons)))


_PROFILE_END = re.compile(r"(?:-v[0-9]+)?(?::[0-9a-z]+){0,2}\Z")


def _by_precedence(request_model: str | None, response_model: str | None) -> list[str]:
    """The response's name first, as it served. But on Bedrock an answer repeats the bare name of a model that was asked
    for through a profile (`global.anthropic.claude-...`): then the request's name says the same model, and its place.
    """
    names = list(dict.fromkeys(name for name in (response_model, request_model) if name and name.strip()))
    if len(names) > 1 and _PROFILE_END.sub("", names[1].strip().lower()).endswith(f".{names[0].strip().lower()}"):
        names.reverse()
    return names


def resolve_name(card: RateCard, provider: str | None, name: str) -> Resolution:
    """One model name under a provider as the span says it (or under none)."""
    lowered = name.strip(_AROUND).lower()
    said = (provider or "").strip().lower()
    provider_id = _listed_provider(card, said)
    if provider_id is None:
        if said in UNPRICED_PROVIDERS:
            return Resolution(None, f"provider {said} has no price list; it runs where you run it")
        if said and said not in FRAMEWORKS and not said.startswith("fallback:"):
            return Resolution(None, f"unknown provider {said[:80]!r}")
        inferred, rest = infer_provider(card, lowered)
        return _in_provider(card, inferred, rest, name) if inferred else _no_shape(name)
    return _in_provider(card, provider_id, lowered, name)


def _no_shape(name: str) -> Resolution:
    return Resolution(None, f"no provider given, and {name[:80]!r} has no known shape")


def infer_provider(card: RateCard, name: str) -> tuple[str | None, str]:
    """The provider that a bare model name belongs to, and the name without a provider prefix."""
    for shape, lab in MODEL_SHAPES:
        if _compiled(shape).match(name):
            return lab, name
    for separator in ("/", ":"):
        head, cut, rest = name.partition(separator)
        if cut and rest and (provider_id := _listed_provider(card, head)):
            return provider_id, rest
    return None, name


def _listed_provider(card: RateCard, said: str) -> str | None:
    """The provider of the card that a name means: its own id first, then any other spelling."""
    if said in card.index["providers"]:
        return said
    return canonical_provider(said) if said else None


def _in_provider(card: RateCard, provider_id: str, lowered: str, name: str) -> Resolution:
    lists = [card.provider(provider_id)]
    lists += [card.provider(other) for other in (lists[0].fallback_providers if lists[0] else ())]
    for listed in lists:
        if listed is None:
            continue
        found = _in_list(listed, provider_id, lowered)
        if found is not None:
            model, how, flags = found
            resolved = card.model(listed.provider, model)
            via = "" if listed.provider == provider_id else f", at the price list of {listed.provider}"
            return Resolution(resolved, f"{how}{via}", flags)
    return Resolution(None, f"unknown model {name[:80]!r} of {provider_id}")


def _in_list(listed: ProviderCard, provider_id: str, lowered: str) -> tuple[str, str, Flag] | None:
    candidates = list(dict.fromkeys(_unwrapped(provider_id, lowered)))
    if candidates[-1].startswith("ft:"):
        model = _fine_tuned(listed, candidates[-1])
        return (model, "fine-tuned model", Flag.NONE) if model else None
    for candidate in candidates:
        if candidate in listed.names:
            return listed.names[candidate], "exact name", Flag.NONE
    for candidate in candidates:
        if found := _by_pattern(listed, candidate):
            return found[0].model, "name pattern", found[1]
    for candidate in candidates:
        for variation, how in _variations(candidate):
            if variation in listed.names:
                return listed.names[variation], how, Flag.NONE
            if found := _by_pattern(listed, variation):
                return found[0].model, how, found[1]
    return None


def _unwrapped(provider_id: str, name: str) -> Iterator[str]:
    """The name as it is, then with one more wrapper gone at a time."""
    yield name
    if placed := _compiled(_ARN_REGION).match(name):
        yield from _placed(*placed.groups())
    changed = True
    while changed:
        changed = False
        for wrapper in _WRAPPERS if "/" in name else ():
            shorter = _compiled(wrapper).sub("", name)
            if shorter and shorter != name:
                name, changed = shorter, True
                yield name
        shorter = _compiled(_TRAILERS).sub("", name)
        if shorter and shorter != name:
            name, changed = shorter, True
            yield name
        for separator in ("/", ":"):
            head, cut, rest = name.partition(separator)
            if cut and rest and head in OWN_PREFIXES.get(provider_id, (provider_id,)):
                name, changed = rest, True
                yield name


def _placed(region: str, name: str) -> Iterator[str]:
    """A model of a region, as price lists write it: that place's own price comes before the plain one."""
    yield f"{region}/{name}"
    if region.startswith("us-gov-"):
        yield f"us-gov.{name}"


def _fine_tuned(listed: ProviderCard, name: str) -> str | None:
    base = ":".join(name.split(":")[:2])
    if base in listed.names:
        return listed.names[base]
    for known, model in listed.names.items():
        if known.startswith(f"{base}-20"):  # the base without its date
            return model
    for pattern in listed.patterns:
        if not pattern.text.startswith("ft:") or pattern.kind != "prefix":
            continue
        if pattern.text.startswith(f"{base}-20") or _pattern_matches(pattern, base) is not None:
            return pattern.model
    return None


def _by_pattern(listed: ProviderCard, name: str) -> tuple[Pattern, Flag] | None:
    for pattern in listed.patterns:
        flags = _pattern_matches(pattern, name)
        if flags is not None:
            return pattern, flags
    return None


def _pattern_matches(pattern: Pattern, name: str) -> Flag | None:
    if pattern.kind == "regex":
        return Flag.NONE if _compiled(pattern.text).search(name) else None
    if pattern.kind == "end":
        start = len(name) - len(pattern.text) if name.endswith(pattern.text) else -1
    else:
        start = 0 if pattern.kind == "prefix" else name.find(pattern.text)
    if start < 0 or not name.startswith(pattern.text, start):
        return None
    if start and name[start - 1] not in "./:":
        return None
    rest = name[start + len(pattern.text) :]
    grammar = _SUFFIX_AFTER_SEPARATOR if pattern.text.endswith(_SEPARATORS) else _SUFFIX
    if not pattern.text.endswith(".ft-") and not _compiled(grammar).fullmatch(rest):
        return None
    region = _compiled(_REGION).match(name)
    unpriced_region = region is not None and region.end() <= start and region.group() not in ("us.",)
    return Flag.VARIANT_NOT_PRICED if unpriced_region else Flag.NONE


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_CLAUDE_NUMBER_FIRST = r"claude-(\d(?:[-.]\d)?)-(opus|sonnet|haiku|fable|mythos)(?=$|[-@:])"
_CLAUDE_NAME_FIRST = r"claude-(opus|sonnet|haiku|fable|mythos)-(\d(?:[-.]\d)?)(?=$|[-@:])"
_DOTTED_VERSION = r"(?<=\d)\.(?=\d)"
_DASHED_VERSION = r"(?<=\D\d)-(?=\d(?:$|\D))"


def _variations(name: str) -> Iterator[tuple[str, str]]:
    """Other ways to write the same model, with the rule that says so."""
    spellings = dict.fromkeys(_spellings(name))
    for spelling in list(spellings)[1:]:
        yield spelling, "other spelling"
    for spelling in spellings:
        expanded = _compiled(_COMPACT_DATE).sub(r"-\1-\2-\3", spelling)
        if expanded != spelling:
            yield expanded, "date written with dashes"
        undated = _compiled(_DATE).sub("", spelling)
        if undated != spelling:
            yield undated, "name without its date"
        if (plain := _compiled(_REVISION).sub("", spelling)) != spelling:
            yield plain, "name without its revision"
        if spelling.endswith("-latest"):
            yield spelling.removesuffix("-latest"), "name without -latest"


def _spellings(name: str) -> Iterator[str]:
    yield name
    if name.startswith("gpt-35"):
        yield "gpt-3.5" + name[6:]
    for base in (name, _compiled(_DOTTED_VERSION).sub("-", name), _compiled(_DASHED_VERSION).sub(".", name)):
        yield base
        yield _compiled(_CLAUDE_NUMBER_FIRST).sub(r"claude-\2-\1", base)
        yield _compiled(_CLAUDE_NAME_FIRST).sub(r"claude-\2-\1", base)
