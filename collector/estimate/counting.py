"""How many tokens a text is: by the model's own tokenizer where that is public and installed, else by a ratio."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Protocol

import numpy as np

from otel_cost.ratios import CJK_RANGES, tokens_of

_AFTER = r"(?=$|[-.:@])"
_O200K = re.compile(rf"(?:gpt-5|gpt-4o|gpt-4\.1|gpt-4\.5|chatgpt-4o|o1|o3|o4|gpt-oss|codex-mini){_AFTER}")
_CL100K = re.compile(r"(?:gpt-4|gpt-3\.5-turbo|gpt-35-turbo|text-embedding-3|text-embedding-ada-002)(?=$|[-:@])")
"""Model -> encoding as tiktoken's `model.py` has it; that every gpt-5.N has the one of gpt-5 is our assumption."""


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


def by_ratio(ratio: str, pieces: Sequence[str]) -> int:
    """Tokens of all pieces by the ratio of that name, rounded up."""
    ascii_, cjk, other = (sum(counts) for counts in zip((0, 0, 0), *map(_scripts, pieces), strict=True))
    return tokens_of(ratio, ascii_, cjk, other)


def _scripts(text: str) -> tuple[int, int, int]:
    """How many characters are ASCII, Chinese, Japanese or Korean, and any other."""
    if text.isascii():
        return len(text), 0, 0
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    ascii_ = int((points < 128).sum())
    cjk = sum(int(((points >= first) & (points < end)).sum()) for first, end in CJK_RANGES)
    return ascii_, cjk, len(points) - ascii_ - cjk
