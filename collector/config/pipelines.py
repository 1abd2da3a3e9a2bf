"""`service`: which of the defined components run. Without a `service` section, all of them and the defaults.

With one, extensions that it does not name do not run, as in the OpenTelemetry Collector; a list that the traces
pipeline does not give is every component that is defined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from collector.config import values
from collector.config.model import Config
from collector.config.problems import BadValue, did_you_mean
from collector.config.reader import Section

PROCESSOR_ORDER = ("memory_limiter", "cost", "budget")
SINGLE = ("otlp", "memory_limiter", "cost", "budget", "duckdb", "prometheus", "api", "health_check")
"""Component types of which one is enough: a second one under another name would have nothing to do."""


@dataclass(slots=True)
class Defined:
    """Ids of the components that the file defines, by section. What every collector has is there from the start."""

    receivers: list[str] = field(default_factory=lambda: ["otlp"])
    processors: list[str] = field(default_factory=lambda: ["memory_limiter", "cost", "budget"])
    exporters: list[str] = field(default_factory=lambda: ["duckdb", "prometheus"])
    extensions: list[str] = field(default_factory=lambda: ["health_check", "api"])

    def add(self, ids: list[str], part: Section, kind: str) -> str:
        """Note a component; returns its id."""
        component_id = part.path.partition(".")[2]
        if component_id != kind and kind in SINGLE and not (kind == "otlp" and ids is self.exporters):
            part.problem(BadValue(f"only one {kind} is possible here; call it {kind}"))
        if component_id not in ids:
            ids.append(component_id)
        return component_id


def select(service: Section, defined: Defined, config: Config) -> Config:
    """The config with only the components that `service` names."""
    pipelines = service.section("pipelines")
    traces = pipelines.section("traces")
    named = () if any(service.keys()) else tuple(defined.extensions)
    extensions = service.take("extensions", values.names, named)
    _all_defined(service, "extensions", extensions, defined.extensions)
    receivers = traces.take("receivers", values.names, tuple(defined.receivers))
    _all_defined(traces, "receivers", receivers, defined.receivers)
    processors = traces.take("processors", values.names, tuple(defined.processors))
    _all_defined(traces, "processors", processors, defined.processors)
    exporters = traces.take("exporters", values.names, tuple(defined.exporters))
    _all_defined(traces, "exporters", exporters, defined.exporters)
    _complete(traces, receivers, processors, exporters)
    for section in (traces, pipelines, service):
        section.close()
    return replace(
        config,
        rules=config.rules if "budget" in processors else (),
        forward=tuple(forward for forward in config.forward if forward.name in exporters),
        prometheus=config.prometheus if "prometheus" in exporters else None,
        health_check=config.health_check if "health_check" in extensions else None,
        api=config.api if "api" in extensions else None,
    )


def _all_defined(section: Section, key: str, named: Sequence[str], defined: Sequence[str]) -> None:
    where = key if key != "extensions" else "extensions"
    for name in named:
        if name not in defined:
            hint = did_you_mean(name, defined)
            section.problem(BadValue(f'"{name}" is not defined under {where}{hint}'), key=key)


def _complete(traces: Section, receivers: Sequence[str], processors: Sequence[str], exporters: Sequence[str]) -> None:
    """A ledger needs a way in, prices and the file: a pipeline without one of them is a mistake."""
    if "receivers" in traces and not receivers:
        traces.problem(BadValue("must name otlp"), key="receivers")
    if "cost" not in processors:
        traces.problem(
            BadValue("must contain cost: the ledger keeps priced spans only"), list(processors), "processors"
        )
    if "duckdb" not in exporters:
        traces.problem(
            BadValue("must contain duckdb: a span is acknowledged when it is in the ledger"),
            list(exporters),
            "exporters",
        )
    known = [name for name in processors if name in PROCESSOR_ORDER]
    if known != sorted(known, key=PROCESSOR_ORDER.index):
        traces.problem(BadValue(f"the order is {', '.join(PROCESSOR_ORDER)}"), list(processors), "processors")
