"""How many tokens a text is: by the model's own tokenizer where that is public and installed, else by a ratio."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache, lru_cache
from importlib import import_module
from math import ceil
from typing import Protocol

import numpy as np

TOKENS_PER_MESSAGE = 3
TOKENS_PER_ROLE = 1
TOKENS_OF_REPLY = 3
"""What OpenAI's chat format adds: 3 tokens and the role for each message, and 3 that prime the reply. Source: OpenAI's
cookbook, "How to count tokens with tiktoken". That other providers add the same is our assumption."""

_AFTER = r"(?=$|[-.:@])"
_O200K = re.compile(rf"(?:gpt-5|gpt-4o|gpt-4\.1|gpt-4\.5|chatgpt-4o|o1|o3|o4|gpt-oss|codex-mini){_AFTER}")
_CL100K = re.compile(r"(?:gpt-4|gpt-3\.5-turbo|gpt-35-turbo|text-embedding-3|text-embedding-ada-002)(?=$|[-:@])")
"""Model -> encoding as tiktoken's `model.py` has it; that every gpt-5.N has the one of gpt-5 is our assumption."""

_ASCII, _CJK, _OTHER = Fraction(10, 46), Fraction(100, 145), Fraction(1, 2)
"""Tokens per character: 1/4.6, 1/1.45 and 1/2. The first two fit o200k on English prose, Python, JSON and Chinese; the
last is our assumption."""
_CLAUDE = Fraction(2, 7)
"""Tokens per ASCII character of Claude: Anthropic documents about 3.5 English characters per token."""
_NEWER_CLAUDE = Fraction(12, 10)
"""From 4.7 on another tokenizer: reported at 1.0 to 1.35 times as many tokens. The middle is our assumption."""
_CLAUDE_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?")
_CJK_RANGES = ((0x2E80, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFB00), (0xFF00, 0xFFF0), (0x20000, 0x40000))


class Tokenizer(Protocol):
    """What is used of a tokenizer."""

    def count(self, text: str) -> int:
        """Tokens of a text; special tokens in it are text like any other."""


@lru_cache(maxsize=1024)
def encoding_of(model: str) -> str | None:
    """The public encoding of a model of the OpenAI family, `o200k` or `cl100k`; None: it has none."""
    name = model.strip().lower().rsplit("/", 1)[-1].removeprefix("ft:").removeprefix("openai.")
    if _O200K.match(name):
        return "o200k"
    return "cl100k" if _CL100K.match(name) else None


@cache
def tokenizer(encoding: str) -> Tokenizer | None:
    """The tokenizer of an encoding; None without the extra `tokens`. Loading one takes some 20 MB and 0.1 s, once."""
    try:
        found: Tokenizer = import_module("quicktok").get_encoding(f"{encoding}_base")
    except (ImportError, OSError, RuntimeError):
        return None
    return found


def by_tokenizer(found: Tokenizer, pieces: Sequence[str]) -> int:
    """Tokens of all pieces. Half of a surrogate pair counts as the `?` that replaces it."""
    return sum(found.count(piece.encode("utf-8", "replace").decode()) for piece in pieces)


def ratio_of(model: str) -> str:
    """The name of the ratio for a model: `claude`, `claude-4.7` or `script`."""
    name = model.lower()
    if "claude" not in name:
        return "script"
    version = _CLAUDE_VERSION.search(name)
    newer = version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 7)
    return "claude-4.7" if newer else "claude"


def by_ratio(ratio: str, pieces: Sequence[str]) -> int:
    """Tokens of all pieces by the ratio of that name, rounded up."""
    ascii_, cjk, other = (sum(counts) for counts in zip((0, 0, 0), *map(_scripts, pieces), strict=True))
    tokens: Fraction = ascii_ * (_ASCII if ratio == "script" else _CLAUDE) + cjk * _CJK + other * _OTHER
    return ceil(tokens * _NEWER_CLAUDE if ratio == "claude-4.7" else tokens)


def _scripts(text: str) -> tuple[int, int, int]:
    """How many characters are ASCII, Chinese, Japanese or Korean, and any other."""
    if text.isascii():
        return len(text), 0, 0
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    ascii_ = int((points < 128).sum())
    cjk = sum(int(((points >= first) & (points < end)).sum()) for first, end in _CJK_RANGES)
    return ascii_, cjk, len(points) - ascii_ - cjk
