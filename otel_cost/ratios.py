"""How many tokens a text is, by a ratio: for what no provider reported. The only definition of these ratios."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from math import ceil

TOKENS_PER_MESSAGE = 3
TOKENS_PER_ROLE = 1
TOKENS_OF_REPLY = 3
"""What OpenAI's chat format adds: 3 tokens and the role for each message, and 3 that prime the reply. Source: OpenAI's
cookbook, "How to count tokens with tiktoken". That other providers add the same is our assumption."""

CJK_RANGES = ((0x2E80, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFB00), (0xFF00, 0xFFF0), (0x20000, 0x40000))
"""Code points of Chinese, Japanese and Korean: first, and one after the last."""

_ASCII, _CJK, _OTHER = Fraction(10, 46), Fraction(100, 145), Fraction(1, 2)
"""Tokens per character: 1/4.6, 1/1.45 and 1/2. The first two fit o200k on English prose, Python, JSON and Chinese; the
last is our assumption."""
_CLAUDE = Fraction(2, 7)
"""Tokens per ASCII character of Claude: Anthropic documents about 3.5 English characters per token."""
_NEWER_CLAUDE = Fraction(12, 10)
"""From 4.7 on another tokenizer: reported at 1.0 to 1.35 times as many tokens. The middle is our assumption."""
_CLAUDE_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?")
_CJK_RUN = re.compile("[" + "".join(f"{chr(first)}-{chr(end - 1)}" for first, end in CJK_RANGES) + "]+")


def ratio_of(model: str) -> str:
    """The name of the ratio for a model: `claude`, `claude-4.7` or `script`."""
    name = model.lower()
    if "claude" not in name:
        return "script"
    version = _CLAUDE_VERSION.search(name)
    newer = version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 7)
    return "claude-4.7" if newer else "claude"


def tokens_of(ratio: str, ascii_: int, cjk: int, other: int) -> int:
    """Tokens of so many characters of each script by the ratio of that name, rounded up."""
    tokens: Fraction = ascii_ * (_ASCII if ratio == "script" else _CLAUDE) + cjk * _CJK + other * _OTHER
    return ceil(tokens * _NEWER_CLAUDE if ratio == "claude-4.7" else tokens)


def tokens_in(model: str, pieces: Iterable[str]) -> int:
    """Tokens of all pieces for a model, without anything that is not in the standard library."""
    ascii_ = cjk = other = 0
    for piece in pieces:
        if piece.isascii():
            ascii_ += len(piece)
            continue
        narrow = len(piece.encode("ascii", "ignore"))
        wide = sum(len(run) for run in _CJK_RUN.findall(piece))
        ascii_, cjk, other = ascii_ + narrow, cjk + wide, other + len(piece) - narrow - wide
    return tokens_of(ratio_of(model), ascii_, cjk, other)
