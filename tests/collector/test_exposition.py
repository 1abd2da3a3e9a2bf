"""The two formats of metrics, and who gets which."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from collector import telemetry as metrics
from collector.exposition import Exemplar, Metric, Sample, render, wants_openmetrics
from collector.serve.probes import METRICS_PATH, metrics_pages
from collector.telemetry import ALL_METRICS, Telemetry

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.2", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_openmetrics_is_for_those_who_prefer_it(accept: str, wanted: bool) -> None:
    """By the qualities of `Accept`; the page says which it is."""
    assert wants_openmetrics(accept) is wanted
    page = metrics_pages(Telemetry())[METRICS_PATH](accept)
    assert page.content_type.startswith(
        "application/openmetrics-text; version=1.0.0" if wanted else "text/plain; version=0.0.4"
    )
    assert page.body.endswith("# EOF\n") is wanted


def test_other_readers_understand_both() -> None:
    """Prometheus' client library finds every metric, in both formats, with the same values."""
    telemetry = Telemetry()
    telemetry.add(metrics.REQUESTS_REFUSED, 2, 'odd "reason"\nwith\\everything')
    telemetry.observe(metrics.COMMIT_SECONDS, 0.003)
    found = []
    for families in (read_openmetrics(telemetry.render(openmetrics=True)), read_text(telemetry.render())):  # type: ignore[no-untyped-call]
        samples: dict[object, float] = {}
        names = set()
        for family in families:
            names.add(family.name)
            samples |= {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples}
        assert names == {metric.name.removesuffix("_total") for metric in ALL_METRICS}
        found.append({key: value for key, value in samples.items() if "process" not in str(key)})
    assert found[0] == found[1]


def test_an_exemplar_is_in_openmetrics_only() -> None:
    """The text format of before has no place for it."""
    metric = Metric("spent_usd_total", "counter", "Spent.")
    example = Exemplar("0a" * 16, "0b" * 8, "0.25", 1_700_000_000.5)
    families = [(metric, [Sample((), "1.5", exemplar=example)])]
    assert "0a0a" not in render(families)
    (family,) = read_openmetrics(render(families, openmetrics=True))  # type: ignore[no-untyped-call]
    assert family.unit == "usd"
    exemplar = family.samples[0].exemplar
    assert (exemplar.labels, exemplar.value) == ({"trace_id": "0a" * 16, "span_id": "0b" * 8}, 0.25)


def test_one_source_that_fails_does_not_take_the_others_along() -> None:
    """It is counted; everything else is shown."""
    telemetry = Telemetry()

    def broken() -> list[tuple[Metric, list[Sample]]]:
        raise OSError("no")

    telemetry.source(broken)
    telemetry.source(lambda: [(metrics.LEDGER_SPANS, [Sample((), "7")])])
    text = telemetry.render()
    assert "\notel_cost_ledger_last_span 7\n" in text
    assert "\notel_cost_metrics_failures_total 1\n" in text
