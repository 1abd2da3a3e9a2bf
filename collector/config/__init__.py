"""The collector's config file, in the OpenTelemetry Collector's own grammar. `docs/config.md` lists every key."""

from __future__ import annotations

from collector.config.load import load, read
from collector.config.model import Config
from collector.config.parts import Endpoint
from collector.config.problems import ConfigError

__all__ = ["Config", "ConfigError", "Endpoint", "load", "read"]
