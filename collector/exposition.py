"""Metrics as text: Prometheus' format 0.0.4, and OpenMetrics 1.0, which has exemplars, for whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_OPENMETRICS_MEDIA = "application/openmetrics-text"
_TEXT_MEDIA = ("text/plain", "text/*", "*/*")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. `labels` are the names that every sample carries, in this order."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Exemplar(NamedTuple):
    """One call of those that a number stands for."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    value: str
    at_seconds: float  # Unix time


class Sample(NamedTuple):
    """One line. `value` is text, so that whole pico-USD are written to the last digit."""

    labels: tuple[tuple[str, str], ...]
    value: str
    suffix: str = ""  # of a histogram: `_bucket`, `_sum` or `_count`
    exemplar: Exemplar | None = None


Family = tuple[Metric, Sequence[Sample]]


def wants_openmetrics(accept: str) -> bool:
    """Whether an `Accept` header prefers OpenMetrics to plain text (RFC 9110, section 12.5.1)."""
    openmetrics = text = 0.0
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = _quality(parameters)
        if media == _OPENMETRICS_MEDIA:
            openmetrics = max(openmetrics, quality)
        elif media in _TEXT_MEDIA:
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def render(families: Iterable[Family], *, openmetrics: bool = False) -> str:
    """All families, in their order."""
    lines: list[str] = []
    for metric, samples in families:
        lines.extend(_head(metric, openmetrics=openmetrics))
        for sample in samples:
            line = f"{metric.name}{sample.suffix}{_labels(sample.labels)} {sample.value}"
            if openmetrics and sample.exemplar is not None:
                line += _exemplar(sample.exemplar)
            lines.append(line)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def histogram(
    metric: Metric,
    counts: Sequence[int],
    total: str,
    labels: tuple[tuple[str, str], ...] = (),
    exemplars: Sequence[Exemplar | None] = (),
) -> Iterator[Sample]:
    """The samples of one histogram: `counts` by bucket, the last one above every bound, and the sum of the values."""
    running = 0
    for place, count in enumerate(counts):
        running += count
        bound = repr(float(metric.buckets[place])) if place < len(metric.buckets) else "+Inf"
        exemplar = exemplars[place] if exemplars else None
        yield Sample((*labels, ("le", bound)), str(running), "_bucket", exemplar)
    yield Sample(labels, total, "_sum")
    yield Sample(labels, str(running), "_count")


def number(value: float) -> str:
    """A value as text."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    return str(int(value)) if value == int(value) else repr(float(value))


def unit_of(metric: Metric) -> str | None:
    """The unit that a name ends in, before `_total`."""
    last = metric.name.removesuffix("_total").rpartition("_")[2]
    return last if last in ("seconds", "bytes", "usd", "ratio") else None


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    name = metric.name.removesuffix("_total") if openmetrics and metric.kind == "counter" else metric.name
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {name} {_escape(metric.help) if openmetrics else text}"
    yield f"# TYPE {name} {metric.kind}"
    unit = unit_of(metric)
    if openmetrics and unit is not None:
        yield f"# UNIT {name} {unit}"


def _exemplar(exemplar: Exemplar) -> str:
    labels = f'trace_id="{exemplar.trace_id}",span_id="{exemplar.span_id}"'
    return f" # {{{labels}}} {exemplar.value} {exemplar.at_seconds:.3f}"


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
