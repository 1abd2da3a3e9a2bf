"""Tokens per character of each model, learned from the user's own calls that have both usage and captured text."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from collector.limits import CALIBRATION_SPANS, MAX_CALIBRATIONS, MAX_NAME_BYTES

Key = tuple[str, bool]
"""A model, and whether its input is meant."""


@dataclass(slots=True)
class _Sums:
    spans: int = 0
    tokens: int = 0
    characters: int = 0


class Calibration:
    """In memory only: after a restart it is learned anew, and general ratios serve until then. Not thread-safe."""

    def __init__(self) -> None:
        self._sums: OrderedDict[Key, _Sums] = OrderedDict()

    def learn(self, model: str, is_input: bool, tokens: int, characters: int) -> None:
        """Take one side of a call that says both; both are above 0, others teach nothing."""
        if tokens <= 0 or characters <= 0 or len(model) > MAX_NAME_BYTES:
            return
        sums = self._sums.setdefault((model, is_input), _Sums())
        self._sums.move_to_end((model, is_input))
        sums.spans, sums.tokens, sums.characters = sums.spans + 1, sums.tokens + tokens, sums.characters + characters
        if len(self._sums) > MAX_CALIBRATIONS:
            self._sums.popitem(last=False)

    def tokens(self, model: str, is_input: bool, characters: int) -> int | None:
        """Tokens of so many characters, rounded up; None: too little is known of the model."""
        sums = self._sums.get((model, is_input))
        if sums is None or sums.spans < CALIBRATION_SPANS:
            return None
        self._sums.move_to_end((model, is_input))
        return -(-characters * sums.tokens // sums.characters)
