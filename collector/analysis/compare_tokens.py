"""How many tokens a text has for another model: as many within a family of tokenizers, else between two ratios.

Nobody can count the tokens of a text that is not there, and most providers publish no tokenizer. What they do say is
how many characters a token has on average. Measured with OpenAI's o200k, English prose has 4.9 to 5.3 characters a
token, Python 4.5 and JSON 3.9; a documented "3.5 characters a token" is therefore 3.9 / 3.5 = 1.1 to 5.3 / 3.5 = 1.5
times as many tokens as o200k makes of the same text. Other scripts than Latin are further off.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from otel_cost.pricing.money import PPM


class Family(NamedTuple):
    """A tokenizer: how many tokens it makes of what o200k makes a million of, at least and at most."""

    name: str
    least_ppm: int
    most_ppm: int
    source: str


class Ratio(NamedTuple):
    """Tokens of one tokenizer per million tokens of another, at least and at most."""

    least_ppm: int
    most_ppm: int

    @property
    def exact(self) -> bool:
        return self.least_ppm == self.most_ppm == PPM


SAME = Ratio(PPM, PPM)

_O200K = Family("o200k", PPM, PPM, "OpenAI, tiktoken: GPT-4o and all later models")
_CL100K = Family("cl100k", PPM, 1_100_000, "OpenAI, 'Hello GPT-4o': English has 1.1 times fewer tokens in o200k")
_CLAUDE = Family("claude", 1_100_000, 1_500_000, "Anthropic, glossary: about 3.5 English characters a token")
_CLAUDE_4_7 = Family(
    "claude-4.7", 1_100_000, 2_025_000, "Anthropic: from Opus 4.7 on 1.0 to 1.35 times the tokens of earlier models"
)
_GEMINI = Family("gemini", 975_000, 1_330_000, "Google, 'understand and count tokens': about 4 characters a token")
_UNDOCUMENTED = (900_000, 1_400_000, "an assumption: no ratio is documented")

_BY_NAME = (
    (
        r"gpt-4o|gpt-4\.[15]|gpt-(?:[5-9]|\d\d)|gpt-oss|chatgpt-4o|gpt-chat|o[1-9](?:-|$)|codex-mini|computer-use",
        _O200K,
    ),
    (r"gpt-(?:3\.5|4(?!\.|o))", _CL100K),
    (r"claude-(?:opus-4-[7-9]|[a-z]+-[5-9])", _CLAUDE_4_7),
    (r"claude", _CLAUDE),
    (r"gemini|gemma", _GEMINI),
)
_SHARED = (
    (r"llama-?3|llama3", "llama-3"),
    (r"qwen-?3", "qwen-3"),
)
"""Generations that are known to share a tokenizer. Other models share theirs with themselves alone."""

_BETWEEN = {(_CLAUDE.name, _CLAUDE_4_7.name): Ratio(PPM, 1_350_000)}
"""Pairs whose ratio is documented by itself, more narrowly than by way of o200k."""


@cache
def family_of(model: str) -> Family:
    """The tokenizer of a model, by its canonical name."""
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    for shape, family in _BY_NAME:
        if re.match(shape, name):
            return family
    for shape, shared in _SHARED:
        if re.search(shape, name):
            return Family(shared, *_UNDOCUMENTED)
    return Family(name, *_UNDOCUMENTED)


def ratio(used: Family, other: Family) -> Ratio:
    """Tokens of `other` per token of `used`: exactly as many in one family, else rounded outwards."""
    if used.name == other.name:
        return SAME
    if found := _BETWEEN.get((used.name, other.name)):
        return found
    if found := _BETWEEN.get((other.name, used.name)):
        return Ratio(PPM * PPM // found.most_ppm, -(-PPM * PPM // found.least_ppm))
    return Ratio(other.least_ppm * PPM // used.most_ppm, -(-other.most_ppm * PPM // used.least_ppm))
