"""Reading Prometheus' text format, as far as the collector's own metrics use it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Samples:
    """Metric -> its samples by labels."""

    values: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str) -> float | None:
        """The sum over all labels; None when the metric is not there."""
        found = self.values.get(name)
        return sum(found.values()) if found else None

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """The sums by the values of one label."""
        sums: dict[str, float] = {}
        for labels, value in self.values.get(name, {}).items():
            key = dict(labels).get(label, "")
            sums[key] = sums.get(key, 0) + value
        return sums


def parse(text: str) -> Samples:
    """All samples of a page; lines that are none are left out."""
    values: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line.strip())
        if match is None or line.startswith("#"):
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        labels = tuple((name, _unescaped(written)) for name, written in _LABEL.findall(match[2] or ""))
        values.setdefault(match[1], {})[labels] = value
    return Samples(values)


def quantile(samples: Samples, name: str, share: float) -> float:
    """Of a histogram, by linear interpolation inside a bucket, as `histogram_quantile` does; NaN without samples."""
    buckets = sorted((float(bound), count) for bound, count in samples.by_label(f"{name}_bucket", "le").items())
    if not buckets or not buckets[-1][1]:
        return math.nan
    rank = share * buckets[-1][1]
    low = below = 0.0
    for bound, count in buckets:
        if count >= rank:
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / max(count - below, 1)
        low, below = bound, count
    return low


def _unescaped(text: str) -> str:
    return re.sub(r'\\[\\"n]', lambda match: _ESCAPES[match[0]], text)
