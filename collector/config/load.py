"""From a file to a `Config`: every problem of the file is found before any is reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from collector.config import forwarding, model, upkeep, values
from collector.config.access import read_api, read_senders
from collector.config.budget import read_rules
from collector.config.channels import read_channels
from collector.config.cost import read_cost
from collector.config.metering import read_prometheus
from collector.config.model import Config
from collector.config.parts import Endpoint
from collector.config.pipelines import Defined, select
from collector.config.problems import BadValue, ConfigError, Problems
from collector.config.reader import Section
from collector.config.revenue import read_revenue
from collector.config.text import parse
from collector.config.tls import read_server_tls
from collector.forward.config import ForwardConfig
from collector.receive.config import ReceiverConfig
from collector.store.config import StoreConfig

RECEIVERS = {"otlp": "OTLP over gRPC and HTTP"}
PROCESSORS = {
    "memory_limiter": "bounds what waits in memory",
    "cost": "prices every model call",
    "budget": "budget rules",
}
EXPORTERS = {
    "duckdb": "the ledger",
    "otlp": "passes spans on over gRPC",
    "otlphttp": "passes spans on over HTTP",
    "prometheus": "metrics of this collector and of what calls cost",
}
EXTENSIONS = {"api": "page and JSON API", "health_check": "liveness and readiness"}

BUDGET_WARNING = "processors.budget.rules: rules that decide on calls need extensions.api, where guards in apps ask"


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """The config in the file at `path`; the defaults when it is None.

    Raises:
        ConfigError: with every problem, one per line: `FILE: path.to[2].key: what is wrong (got X); allowed ...`.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    return read(text, str(path), os.environ if environment is None else environment)


def read(text: str, file: str, environment: Mapping[str, str]) -> Config:
    """The config in `text`; `file` is its name in messages. Raises ConfigError."""
    problems = Problems(file)
    config = read_tree(parse(text, environment, problems), problems)
    if problems.lines:
        raise ConfigError(problems.lines)
    return config


def read_tree(tree: object, problems: Problems) -> Config:
    """The config in a parsed document; what is wrong with it is added to `problems`."""
    if tree is not None and not isinstance(tree, dict):
        problems.add_line(1, "the file must be a mapping with receivers, processors, exporters, extensions, service")
        return Config()
    top = Section(problems, "", tree)
    defined = Defined()
    config = _receivers(top.section("receivers"), defined, Config())
    config = _processors(top.section("processors"), defined, config)
    config = _exporters(top.section("exporters"), defined, config)
    config = _extensions(top.section("extensions"), defined, config)
    config = select(top.section("service"), defined, config)
    top.close()
    _room_for_one(top, config)
    return replace(config, warnings=_warnings(config))


def _warnings(config: Config) -> tuple[str, ...]:
    return (BUDGET_WARNING,) * (config.api is None and any(rule.is_hard for rule in config.rules))


def _room_for_one(top: Section, config: Config) -> None:
    """A request that never fits into the queue would be refused for ever with "try again"."""
    largest_bytes = max(listen.max_request_bytes for listen in (config.grpc, config.http) if listen is not None)
    if config.queue_bytes < largest_bytes:
        what = f"must be at least the largest request of the receivers, {largest_bytes // model.MIB} MiB"
        top.problem(BadValue(what), config.queue_bytes // model.MIB, "processors.memory_limiter.limit_mib")


def _receivers(section: Section, defined: Defined, config: Config) -> Config:
    for kind, part in section.components(RECEIVERS):
        defined.add(defined.receivers, part, kind)
        config = _otlp(part, config)
    section.close()
    return config


def _otlp(part: Section, config: Config) -> Config:
    protocols = part.section("protocols")
    grpc = protocols.section("grpc")
    http = protocols.section("http")
    result = replace(
        config,
        grpc=_listen(grpc, "max_recv_msg_size_mib", model.GRPC) if "grpc" in protocols else None,
        http=_listen(http, "max_request_body_size_mib", model.HTTP) if "http" in protocols else None,
    )
    protocols.close()
    result = replace(result, senders=read_senders(part))
    part.close()
    if result.grpc is None and result.http is None:
        if "protocols" in part:
            protocols.problem(BadValue("must have grpc, http or both"))
        return replace(config)
    return result


def _listen(section: Section, size_key: str, default: ReceiverConfig) -> ReceiverConfig:
    tls = section.section("tls")
    endpoint = section.take("endpoint", values.listen_address, Endpoint(default.host, default.port))
    largest_bytes = section.take(size_key, values.mebibytes(1, 1024), default.max_request_bytes)
    result = replace(
        default,
        host=endpoint.host,
        port=endpoint.port,
        max_request_bytes=largest_bytes,
        max_in_flight_bytes=max(default.max_in_flight_bytes, 2 * largest_bytes),
        tls=read_server_tls(tls) if "tls" in section else None,
    )
    section.close()
    return result


def _processors(section: Section, defined: Defined, config: Config) -> Config:
    for kind, part in section.components(PROCESSORS):
        defined.add(defined.processors, part, kind)
        if kind == "memory_limiter":
            limit_bytes = part.take("limit_mib", values.mebibytes(1, 1024 * 1024), config.queue_bytes)
            config = replace(config, queue_bytes=limit_bytes)
            part.close()
        elif kind == "budget":
            channels = read_channels(part.section("channels"))
            config = replace(config, rules=read_rules(part, channels), channels=channels)
        else:
            estimate = part.take("estimate", values.boolean, config.estimate)
            overrides, refresh = read_cost(part)
            config = replace(config, overrides=overrides, refresh=refresh, estimate=estimate)
    section.close()
    return config


def _exporters(section: Section, defined: Defined, config: Config) -> Config:
    forward: list[ForwardConfig] = []
    for kind, part in section.components(EXPORTERS):
        component_id = defined.add(defined.exporters, part, kind)
        if kind == "duckdb":
            config = replace(config, store=_store(part, config.store))
        elif kind == "prometheus":
            prometheus, metering, digests = read_prometheus(part, model.PROMETHEUS_ENDPOINT)
            config = replace(config, prometheus=prometheus, metering=metering, scrapers=digests)
        elif kind == "otlp":
            forward.append(forwarding.read_grpc(component_id, part))
        else:
            forward.append(forwarding.read_http(component_id, part))
    section.close()
    return replace(config, forward=tuple(forward))


def _store(part: Section, default: StoreConfig) -> StoreConfig:
    interval_seconds = part.take("publish_interval", values.seconds(0.1, 86_400), default.publish_interval_seconds)
    path = part.take("path", values.path, default.path)
    kept = upkeep.read_retention(part.section("retention"))
    archive = part.section("archive")
    old = upkeep.read_archive(archive) if "archive" in part else None
    part.close()
    return replace(default, path=path, publish_interval_seconds=interval_seconds, retention=kept, archive=old)


def _extensions(section: Section, defined: Defined, config: Config) -> Config:
    for kind, part in section.components(EXTENSIONS):
        defined.add(defined.extensions, part, kind)
        if kind == "health_check":
            config = replace(config, health_check=_endpoint(part, model.HEALTH_CHECK_ENDPOINT))
        else:
            revenue = read_revenue(part)
            config = replace(config, api=replace(read_api(part, model.API_ENDPOINT), revenue=revenue))
    section.close()
    return config


def _endpoint(part: Section, default: Endpoint) -> Endpoint:
    endpoint = part.take("endpoint", values.listen_address, default)
    part.close()
    return endpoint
